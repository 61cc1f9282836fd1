"""What a model of a small world cannot know, said before work is put into it."""

from __future__ import annotations

import re

from PIL import Image

from undrift.backbones.base import Capabilities
from undrift.littleworld.likeness import looks_drawn


def is_foreign(capabilities: Capabilities, picture: Image.Image) -> bool:
    """Whether the model knows drawings alone, and ``picture`` looks like a photo."""
    return capabilities.vocabulary is not None and not looks_drawn(picture)


def unknown_words(capabilities: Capabilities, prompt: str) -> tuple[str, ...]:
    """Words of a prompt that the model has never seen, each once, in order; none for a model of the open world."""
    if capabilities.vocabulary is None:
        return ()
    words = re.findall(r"[^\W\d_]+", prompt.lower())
    return tuple(dict.fromkeys(word for word in words if word not in capabilities.vocabulary))
