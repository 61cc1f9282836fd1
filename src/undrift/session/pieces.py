"""What of a mask hangs together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from undrift.session.drift import Mask


def pieces(mask: Mask) -> NDArray[np.int64]:
    """A number for each pixel, the same for all that are connected over an edge, 0 outside of ``mask``.

    Numbers begin as places and spread, the largest first, along whole rows and columns until none changes.
    """
    padded = np.pad(mask, 1)
    numbers = np.arange(1, padded.size + 1).reshape(padded.shape) * padded
    while True:
        before = numbers
        numbers = _along(_along(numbers, padded).T, padded.T).T
        if np.array_equal(numbers, before):
            return np.ascontiguousarray(numbers[1:-1, 1:-1])


def _along(numbers: NDArray[np.int64], mask: Mask) -> NDArray[np.int64]:
    """The largest number of every run of a row; the border of ``mask`` is False, so that no run enters the next."""
    flat = mask.ravel()
    starts = np.flatnonzero(~flat)
    largest = np.maximum.reduceat(numbers.ravel(), starts)
    spread: NDArray[np.int64] = (largest[np.cumsum(~flat) - 1] * flat).reshape(mask.shape)
    return spread


def without_holes(mask: Mask, share: float) -> Mask:
    """``mask`` and those of its holes that are at most ``share`` of its pixels; one at the border is none."""
    around = pieces(~mask)
    numbers, back, sizes = np.unique(around, return_inverse=True, return_counts=True)
    outside = np.concatenate([around[0], around[-1], around[:, 0], around[:, -1]])
    hole = (sizes <= share * mask.sum()) & ~np.isin(numbers, outside)
    filled: Mask = mask | (hole[back.reshape(mask.shape)] & ~mask)
    return filled
