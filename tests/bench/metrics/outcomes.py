"""Turns to score: drawn sequences with pictures of known rightness, and pictures of another world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from undrift.bench.case import Case, Mask, Task
from undrift.bench.metrics.base import Metric, Outcome
from undrift.bench.metrics.registry import get
from undrift.bench.records import TurnRecord
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.littleworld import LittleWorldCase
from undrift.bench.suites.registry import open_suite

Shown = Callable[[int, Case, int], Image.Image]
"""(number of the case, case, turn) to the picture that a method is supposed to have made."""


@cache
def quick() -> tuple[LittleWorldCase, ...]:
    """The eight drawn sequences of four turns."""
    cases = open_suite(SuiteSpec(name="littleworld", variant="quick"))
    return tuple(case for case in cases if isinstance(case, LittleWorldCase))


@cache
def rich() -> tuple[LittleWorldCase, ...]:
    """Sixteen sequences of five turns with patterns, poses and styles."""
    cases = open_suite(SuiteSpec(name="littleworld", variant="rich", limit=16))
    return tuple(case for case in cases if isinstance(case, LittleWorldCase))


def right(number: int, case: Case, turn: int) -> Image.Image:
    """The ground truth."""
    picture = case.truth(turn)
    assert picture is not None
    return picture


def untouched(number: int, case: Case, turn: int) -> Image.Image:
    """The original again."""
    return case.original()


def shuffled(number: int, case: Case, turn: int) -> Image.Image:
    """The right picture of another case, another one in every turn."""
    return quick()[(number + turn) % len(quick())].truth(turn)


def played(shown: Shown) -> list[Outcome]:
    """All turns of the quick sequences as if a method had made the pictures shown."""
    return [outcome(case, turn, shown, number) for number, case in enumerate(quick()) for turn in _turns(case)]


def outcome(case: Case, turn: int, shown: Shown, number: int = 0) -> Outcome:
    """One turn, the turn before it made by the same hand."""
    before = shown(number, case, turn - 1) if turn > 1 else case.original()
    return single(case, turn, shown(number, case, turn), before)


def single(case: Case, turn: int, picture: Image.Image, previous: Image.Image, **record: Any) -> Outcome:
    """One turn with the pictures given."""
    task = case.tasks[turn - 1]
    told = {"edit_type": task.edit_type, "source_prompt": task.source_prompt, "target_prompt": task.target_prompt}
    line = TurnRecord(label="m", case=case.id, turn=turn, seed=turn, **told, **record)
    return Outcome(case, turn, picture, previous, case.original(), line)


def scored(name: str, outcomes: Sequence[Outcome]) -> list[float | None]:
    """The scores of a metric."""
    metric = get(name)
    assert isinstance(metric, Metric)
    return metric.score(outcomes)


def numbers(name: str, outcomes: Sequence[Outcome]) -> list[float]:
    """The scores of a metric that applies to every turn."""
    values = [value for value in scored(name, outcomes) if value is not None]
    assert len(values) == len(outcomes)
    return values


class PhotoCase(Case):
    """A picture of another world: no scenes; right answers and a mask only if given."""

    def __init__(self, original: Image.Image, mask: Mask | None = None, turns: int = 2) -> None:
        self.id, self.tasks = "photo", (Task("a dog on a sofa", "a cat on a sofa", "object"),) * turns
        self._original, self._mask = original, mask

    def original(self) -> Image.Image:
        return self._original

    def mask(self, turn: int) -> Mask | None:
        return self._mask


def noise(seed: int, size: tuple[int, int] = (128, 128)) -> Image.Image:
    """A picture of random pixels, (width, height)."""
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def _turns(case: Case) -> range:
    return range(1, case.turns + 1)
