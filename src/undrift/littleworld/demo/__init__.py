"""The picture that the demonstration edits, and its five edits: one of every kind, with known right answers."""

from __future__ import annotations

import json
from importlib.resources import files

from PIL import Image

from undrift.littleworld.sequences import EditSequence


def sequence() -> EditSequence:
    """The scenes: the original, and the right one after every turn."""
    return EditSequence.from_dict(json.loads(files(__package__).joinpath("sequence.json").read_text("utf-8")))


def picture() -> Image.Image:
    """The original picture, RGB."""
    with files(__package__).joinpath("source.png").open("rb") as file:
        return Image.open(file).convert("RGB")


def prompt() -> str:
    """What the original picture shows."""
    return sequence().captions[0]


def edits() -> tuple[str, ...]:
    """What it is to show after every turn."""
    return sequence().captions[1:]
