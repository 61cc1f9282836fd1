"""What is known of a turn in the drawn world: its scenes, and what the attribute judge reads in a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from PIL import Image

from undrift.bench.metrics.base import Outcome
from undrift.bench.metrics.pixels import pixels
from undrift.littleworld.judge import judge
from undrift.littleworld.sequences import EditSequence

_TOGETHER = 64

Attributes = dict[str, str]


def sequence_of(outcome: Outcome) -> EditSequence | None:
    """The drawn sequence behind a case; None for cases of another world."""
    sequence = getattr(outcome.case, "sequence", None)
    return sequence if isinstance(sequence, EditSequence) else None


def attributes(sequence: EditSequence, turn: int) -> Attributes:
    """What the right picture after ``turn`` shows."""
    return sequence.scenes[turn].attributes()


def asked(sequence: EditSequence, turn: int) -> Attributes:
    """The attributes that ``turn`` was to change, with the values asked for."""
    before, after = attributes(sequence, turn - 1), attributes(sequence, turn)
    return {name: value for name, value in after.items() if before[name] != value}


def asked_since_original(sequence: EditSequence, turn: int) -> set[str]:
    """Names of the attributes that any of the turns 1 to ``turn`` was to change."""
    return {name for k in range(1, turn + 1) for name in asked(sequence, k)}


def seen(pictures: Sequence[Image.Image]) -> list[Attributes]:
    """What the judge reads in each picture.

    Raises:
        InputError: a picture is not of the world's size.
    """
    return [read for start in range(0, len(pictures), _TOGETHER) for read in _judged(pictures[start:][:_TOGETHER])]


def _judged(pictures: Sequence[Image.Image]) -> list[Attributes]:
    return judge(torch.stack(list(_tensors(pictures))))


def _tensors(pictures: Sequence[Image.Image]) -> Iterator[torch.Tensor]:
    for picture in pictures:
        yield torch.from_numpy(pixels(picture)).permute(2, 0, 1).float() / 127.5 - 1.0
