"""Change too faint to be an edit: what reverting unchanged pixels would take back.

Emu Edit (Sheynin et al. 2023, arXiv 2311.10089) puts pixels back whose change, the mean over RGB, stays below 0.03 of
the full range; here it is smoothed first, by a Gaussian of sigma 3 pixels, as LME-Bench does. With R the picture that
this gives, the number is the mean |p - R| in levels of 255: 0 for an editor that leaves alone what it does not edit,
however much it edits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from undrift.bench.case import Mask
from undrift.bench.metrics.anchors import Formula, everywhere
from undrift.bench.metrics.pixels import Pixels, enough

FAINT_BELOW = 0.03 * 255
SIGMA = 3.0
_REACH = 12
"""Pixels to every side that the Gaussian reaches, four sigma."""


def smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``values`` (height, width) under a Gaussian of ``SIGMA``; the border repeats itself."""
    weights = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1) / SIGMA) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        padded = np.pad(values, [(_REACH, _REACH) if each == axis else (0, 0) for each in (0, 1)], "edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(weights), axis=axis)
        values = windows @ weights
    return values


def faint_change(picture: Pixels, anchor: Pixels, outside: Mask | None) -> float | None:
    """Mean |p - R| over the pixels looked at, in levels of 255; None if too few are."""
    if outside is not None and not enough(outside):
        return None
    change = np.abs(picture - anchor).mean(axis=-1)
    taken_back = np.where(smoothed(change) < FAINT_BELOW, change, 0.0)
    return float(taken_back.mean() if outside is None else taken_back[outside].mean())


METRICS = everywhere(Formula("faint-change", "Faint change since", "/255", False, faint_change))
