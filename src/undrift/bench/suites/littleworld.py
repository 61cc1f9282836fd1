"""The drawn world, where every right picture and mask is known: sequences of edits, and pictures that must stay."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from PIL import Image

from undrift.bench.case import Case, Mask, Task
from undrift.bench.suites.base import Suite
from undrift.littleworld.captions import caption
from undrift.littleworld.render import render
from undrift.littleworld.scenes import Scene, sample_scene
from undrift.littleworld.sequences import EditSequence, changed_pixels, sample_rich_sequence, sample_sequence

FIRST_SEED = 90_000_000
"""Beyond the scenes that trained the model (below 10 million), and those that tuned or tested methods."""

NO_OP, CYCLE, RICH = "no-op", "cycle", "rich"
RECONSTRUCT = "reconstruct"
"""Edit type of a turn that asks for what the picture already shows."""


class DrawnCase(Case):
    """A case of the drawn world.

    Attributes:
        scenes: the right scene after turn 0 (the original), 1, 2, ...; the judge knows its attributes.
    """

    def __init__(self, name: str, scenes: Sequence[Scene], tasks: Sequence[Task], seed: int) -> None:
        self.id, self.scenes, self.tasks, self.seed = name, tuple(scenes), tuple(tasks), seed

    def original(self) -> Image.Image:
        return self.truth(0)

    def truth(self, turn: int) -> Image.Image:
        return render(self.scenes[turn])

    def mask(self, turn: int) -> Mask:
        return changed_pixels(self.scenes[turn - 1], self.scenes[turn])

    def mask_since_original(self, turn: int) -> Mask:
        return changed_pixels(self.scenes[0], self.scenes[turn])


class LittleWorldCase(DrawnCase):
    """A drawn sequence of edits.

    Attributes:
        sequence: the same scenes with what each turn changes.
    """

    def __init__(self, name: str, sequence: EditSequence, seed: int) -> None:
        tasks = [Task(edit.source_prompt, edit.target_prompt, edit.type, edit.label) for edit in sequence.edits]
        super().__init__(name, sequence.scenes, tasks, seed)
        self.sequence = sequence


class ReconstructCase(DrawnCase):
    """A drawn picture whose every turn asks for what it already shows: the right answer is the original, each mask
    empty.
    """

    def __init__(self, name: str, scene: Scene, turns: int, seed: int) -> None:
        same = Task(caption(scene), caption(scene), RECONSTRUCT)
        super().__init__(name, [scene] * (turns + 1), [same] * turns, seed)


class LittleWorld(Suite):
    """Random sequences with fixed seeds (see ``undrift.littleworld.sequences``)."""

    name: ClassVar[str] = "littleworld"
    title: ClassVar[str] = "LittleWorld, drawn by this package"
    needs_data: ClassVar[bool] = False
    short: ClassVar[bool] = True
    variants: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "default": "the same as standard",
            "quick": "8 sequences of 4 turns",
            "standard": "64 sequences of 5 turns",
            "ten": "64 sequences of 10 turns",
            "long": "24 sequences of 20 turns",
            RICH: "64 sequences of 5 turns with patterns, poses and styles as well",
            RECONSTRUCT: "16 pictures, each asked 16 times for what it already shows",
            NO_OP: "16 other pictures, each asked 10 times for what it already shows",
            CYCLE: "16 edits, each made and taken back 10 times",
        }
    )
    sizes: ClassVar[Mapping[str, tuple[int, int, int]]] = MappingProxyType(
        {
            "default": (FIRST_SEED, 64, 5),
            "quick": (FIRST_SEED, 8, 4),
            "standard": (FIRST_SEED, 64, 5),
            "ten": (FIRST_SEED + 6_000, 64, 10),
            "long": (FIRST_SEED + 1_000, 24, 20),
            RECONSTRUCT: (FIRST_SEED + 2_000, 16, 16),
            NO_OP: (FIRST_SEED + 3_000, 16, 10),
            CYCLE: (FIRST_SEED + 4_000, 16, 20),
            RICH: (FIRST_SEED + 5_000, 64, 5),
        }
    )
    """First seed, cases, turns."""

    def cases(self) -> Sequence[Case]:
        return list(self._cases())

    def _cases(self) -> Iterator[Case]:
        first, count, turns = self.sizes[self.spec.variant]
        for n in range(count):
            rng = random.Random(first + n)
            if self.spec.variant in (RECONSTRUCT, NO_OP):
                yield ReconstructCase(f"lw-{n:03}", sample_scene(rng), turns, seed=n)
            elif self.spec.variant == CYCLE:
                there = sample_sequence(rng, 1).scenes
                back_and_forth = EditSequence(tuple(there[turn % 2] for turn in range(turns + 1)))
                yield LittleWorldCase(f"lw-{n:03}", back_and_forth, seed=n)
            else:
                sample = sample_rich_sequence if self.spec.variant == RICH else sample_sequence
                yield LittleWorldCase(f"lw-{n:03}", sample(rng, turns), seed=n)
