"""Where labels go so that none covers another or a mark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from undrift.bench.report.svg import CHARACTER, FONT

LINE = FONT + 2
"""Height of a label in pixels."""
_MARK = 6.0
_RINGS = (0.0, 12.0, 24.0, 38.0, 54.0, 72.0, 92.0, 116.0, 144.0, 176.0)


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two overlap."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def inside(self, other: Box) -> bool:
        """Whether it lies wholly in ``other``."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions along a line, at least ``gap`` apart, between ``low`` and ``high``, in the order of ``wanted``.

    Each label starts where it wants to be; neighbours that are too close form a block, which moves to the mean of
    what its members want. If there is no room for all, the gap shrinks evenly.
    """
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[list[int]] = []
    starts: list[float] = []
    for index in order:
        blocks.append([index])
        starts.append(_start(blocks[-1], wanted, gap, low, high))
        while len(blocks) > 1 and starts[-2] + gap * len(blocks[-2]) > starts[-1]:
            last = blocks.pop()
            starts.pop()
            blocks[-1] += last
            starts[-1] = _start(blocks[-1], wanted, gap, low, high)
    placed = [0.0] * len(wanted)
    for start, block in zip(starts, blocks, strict=True):
        for step, index in enumerate(block):
            placed[index] = start + gap * step
    return placed


def _start(block: Sequence[int], wanted: Sequence[float], gap: float, low: float, high: float) -> float:
    ideal = sum(wanted[index] - gap * step for step, index in enumerate(block)) / len(block)
    return min(max(ideal, low), high - gap * (len(block) - 1))


def place(marks: Sequence[tuple[float, float]], texts: Sequence[str], bounds: Box) -> list[Box]:
    """A box per label: beside its mark if it is free there, else on growing rings around it.

    Args:
        marks: (x, y) in pixels; no label covers one.
        texts: of the labels.
        bounds: labels stay inside.
    """
    taken = [Box(x - _MARK, y - _MARK, x + _MARK, y + _MARK) for x, y in marks]
    placed: list[Box] = []
    for mark, text in zip(marks, texts, strict=True):
        candidates = list(_around(mark, CHARACTER * len(text)))
        free = (box for box in candidates if box.inside(bounds) and not any(map(box.meets, taken)))
        found = next(free, candidates[0])
        taken.append(found)
        placed.append(found)
    return placed


def _around(mark: tuple[float, float], width: float) -> Iterator[Box]:
    x, y = mark
    for ring in _RINGS:
        reach = _MARK + 2 + ring
        for degrees in (0, 180, 45, -45, 135, -135, 90, -90, 20, -20, 160, -160, 70, -70, 110, -110):
            across, down = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            middle_x, middle_y = x + across * (reach + width / 2), y + down * (reach + LINE / 2)
            yield Box(middle_x - width / 2, middle_y - LINE / 2, middle_x + width / 2, middle_y + LINE / 2)
