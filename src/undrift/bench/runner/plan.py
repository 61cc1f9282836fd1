"""What there is to do, cut into units of work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from undrift.bench.case import Case
from undrift.bench.records import MethodSpec

T = TypeVar("T")


@dataclass(frozen=True)
class Unit:
    """All turns of a batch of cases by one method.

    Attributes:
        label: of the method.
        cases: their ids.
    """

    label: str
    cases: tuple[str, ...]


def plan(cases: Sequence[Case], methods: Iterable[MethodSpec], batch: int) -> list[Unit]:
    """Every unit, batch after batch and within a batch method after method, so that methods find what they share."""
    chosen = list(methods)
    return [
        Unit(spec.label, tuple(case.id for case in together))
        for alike in _by_size(cases)
        for together in chunks(alike, batch)
        for spec in chosen
    ]


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """``items`` in order, ``size`` at a time; the last may be fewer."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _by_size(cases: Iterable[Case]) -> Iterable[list[Case]]:
    """Cases whose original pictures have one size, in order; unreadable ones last, where they harm nobody."""
    sizes: dict[tuple[int, int], list[Case]] = {}
    for case in cases:
        sizes.setdefault(_size(case), []).append(case)
    unreadable = sizes.pop(UNREADABLE, [])
    return [*sizes.values(), *([case] for case in unreadable)]


UNREADABLE = (0, 0)


def _size(case: Case) -> tuple[int, int]:
    try:
        return case.original().size
    except Exception:
        # Whatever is wrong with the picture is recorded when the case's turn comes.
        return UNREADABLE
