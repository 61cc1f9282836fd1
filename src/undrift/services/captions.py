"""What a picture shows, where nobody said it: from its own metadata, or by a captioning model that was asked for."""

from __future__ import annotations

from typing import Any

from PIL import Image

from undrift.errors import InputError, ModelError

REQUEST = "Describe this picture in one short sentence without any introduction."
"""What a model that is talked to is told; one that only captions is told nothing."""

MOST_TOKENS = 60
LONGEST = 1000
"""Characters of a caption."""


class Captioner:
    """A captioning model: one that transformers' pipeline ``image-text-to-text`` runs, its weights as safetensors.

    Args:
        name: a folder, or a Hub id such as "Salesforce/blip-image-captioning-base", which is downloaded.
        device: as of a model.

    Raises:
        ModelError: there is none of that name, or it is no captioning model.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        from transformers import pipeline

        try:
            # Greedy, so that a picture has one caption; no code and no pickles of somebody else's.
            self._pipeline = pipeline(
                "image-text-to-text",
                model=name,
                device=device,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            raise ModelError(f"--caption-model {name} cannot be used: {_first_line(error)}") from None
        self.name = name

    def caption(self, picture: Image.Image) -> str:
        """What ``picture`` shows, in one line.

        Raises:
            InputError: the model says nothing.
        """
        processor: Any = self._pipeline.processor
        asked: Any = {"images": picture, "text": ""}
        if getattr(processor, "chat_template", None):
            parts = [{"type": "image", "image": picture}, {"type": "text", "text": REQUEST}]
            asked = {"text": [{"role": "user", "content": parts}], "return_full_text": False}
        made: Any = self._pipeline(**asked, max_new_tokens=MOST_TOKENS, generate_kwargs={"do_sample": False})
        text = " ".join(str(made[0]["generated_text"]).split()).strip().rstrip(".")[:LONGEST]
        if not text or not text.isprintable():
            raise InputError(f"the caption model {self.name} says nothing of this picture: give --prompt")
        return text


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
