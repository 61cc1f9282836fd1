"""Sequences of edits in the drawn world, where every right picture and mask is known."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from PIL import Image

from undrift.bench.case import Case, Mask, Task
from undrift.bench.suites.base import Suite
from undrift.littleworld.sequences import EditSequence, sample_sequence

FIRST_SEED = 90_000_000
"""Beyond the scenes that trained the model (below 10 million), and those that tuned or tested methods."""


class LittleWorldCase(Case):
    """A drawn sequence.

    Attributes:
        sequence: the scenes, whose attributes the judge knows.
    """

    def __init__(self, name: str, sequence: EditSequence, seed: int) -> None:
        self.id, self.sequence, self.seed = name, sequence, seed
        self.tasks = tuple(
            Task(edit.source_prompt, edit.target_prompt, edit.type, edit.label) for edit in sequence.edits
        )

    def source(self) -> Image.Image:
        return self.sequence.picture(0)

    def truth(self, turn: int) -> Image.Image:
        return self.sequence.picture(turn)

    def mask(self, turn: int) -> Mask:
        return self.sequence.mask(turn)

    def mask_since_source(self, turn: int) -> Mask:
        return self.sequence.cumulative_mask(turn)


class LittleWorld(Suite):
    """Random sequences with fixed seeds; see ``undrift.littleworld.sequences``."""

    name: ClassVar[str] = "littleworld"
    title: ClassVar[str] = "LittleWorld, drawn by this package"
    needs_data: ClassVar[bool] = False
    variants: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "default": "the same as standard",
            "quick": "8 sequences of 4 turns",
            "standard": "64 sequences of 5 turns",
        }
    )
    sizes: ClassVar[Mapping[str, tuple[int, int]]] = MappingProxyType(
        {"default": (64, 5), "quick": (8, 4), "standard": (64, 5)}
    )

    def cases(self) -> Sequence[Case]:
        count, turns = self.sizes[self.spec.variant]
        seeds = range(FIRST_SEED, FIRST_SEED + count)
        return [
            LittleWorldCase(f"lw-{n:03}", sample_sequence(random.Random(seed), turns), seed=n)
            for n, seed in enumerate(seeds)
        ]
