"""What became of a text: a caption or an instruction, and what the picture is to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from undrift.instructions.exchange import Exchange

Kind = Literal[
    "object", "add", "delete", "colour", "material", "content", "pose", "background", "style", "position",
    "undo", "back", "more", "less",
]  # fmt: skip
"""Kinds of edit: the nine of PIE-Bench, a thing put elsewhere, and steps through the turns."""

TextForm = Literal["caption", "instruction"]


@dataclass(frozen=True)
class Reading:
    """A text, understood.

    Attributes:
        text: what was said, as it was said.
        form: what it was taken for.
        kinds: the kind of each edit, in order; empty for a caption.
        source: what the picture shows now. Taken from the instruction itself where no caption was known.
        target: what it is to show.
        words: words of ``target`` that steer the edit, whole words or phrases that occur once; None leaves them to
            the words that differ (captions, and edits that only take something away).
        turn: for a step back, the number, from the original (0), of the turn on the path to go back to; else None.
        strength: 1 for "more", -1 for "less" of the last turn, else 0.
        exchange: what was said to a language model and what it answered, where one read the text.
        note: what whoever asked should know of how it was read, in a line; empty for nothing.
    """

    text: str
    form: TextForm
    kinds: tuple[Kind, ...]
    source: str
    target: str
    words: tuple[str, ...] | None = None
    turn: int | None = None
    strength: int = 0
    exchange: Exchange | None = None
    note: str = ""

    @property
    def is_step(self) -> bool:
        """Whether it goes back to an earlier turn, which makes no new picture."""
        return self.turn is not None
