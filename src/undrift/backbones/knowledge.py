"""What a model of a small world cannot know, said before work is put into it."""

from __future__ import annotations

import re

from PIL import Image

from undrift.backbones.base import Capabilities
from undrift.littleworld.likeness import looks_drawn
from undrift.littleworld.nearest import nearest_word
from undrift.littleworld.render import SIZE

TOO_LARGE = 4
"""Times the pixels that a drawn world's pictures have, beyond which work grows and understanding shrinks."""


def is_foreign(capabilities: Capabilities, picture: Image.Image) -> bool:
    """Whether the model knows drawings alone, and ``picture`` looks like a photo."""
    return capabilities.vocabulary is not None and not looks_drawn(picture)


def too_large(capabilities: Capabilities, picture: Image.Image) -> str | None:
    """In a line, that the model knows a drawn world's pictures, and ``picture`` is far larger; None if it is not."""
    times = picture.width * picture.height / SIZE**2
    if capabilities.vocabulary is None or times <= TOO_LARGE:
        return None
    return (
        f"was made for {SIZE}x{SIZE} pixels: one turn on {picture.width}x{picture.height} takes more than "
        f"{times:.0f} times as long, and may change nothing; a smaller copy is edited better"
    )


def unknown_words(capabilities: Capabilities, prompt: str) -> tuple[str, ...]:
    """Words of a prompt that the model has never seen, each once, in order; none for a model of the open world."""
    if capabilities.vocabulary is None:
        return ()
    words = re.findall(r"[^\W\d_]+", prompt.lower())
    return tuple(dict.fromkeys(word for word in words if word not in capabilities.vocabulary))


def unknown_with_nearest(capabilities: Capabilities, prompt: str) -> tuple[str, ...]:
    """As ``unknown_words``, each with the known word that comes nearest where one does: "gray (nearest: white)"."""
    known = capabilities.vocabulary or ()
    near = ((word, nearest_word(word)) for word in unknown_words(capabilities, prompt))
    return tuple(f"{word} (nearest: {other})" if other in known else word for word, other in near)


def unknown_note(capabilities: Capabilities, prompt: str) -> str:
    """In a line, which words of a prompt the model cannot draw; empty if it knows all of them."""
    unknown = unknown_with_nearest(capabilities, prompt)
    return f"the model does not know the words: {', '.join(unknown)}" if unknown else ""
