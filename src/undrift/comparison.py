"""How alike two pictures are, in decibels: the one formula behind drift, scores and metrics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

IDENTICAL = 99.0
"""What stands for equal values in tables and means, in dB: the formula has no value there."""


def psnr(values: NDArray[Any], others: NDArray[Any]) -> float:
    """10 log10(255^2 / mean squared difference) of values from 0 to 255, in dB; infinite where nothing differs.

    Args:
        values, others: of one shape, of any number type; empty ones differ in nothing.
    """
    if values.size == 0:
        return math.inf
    error = float(np.square(values.astype(np.float64) - others.astype(np.float64)).mean())
    return 10.0 * math.log10(255.0**2 / error) if error else math.inf


def bounded_psnr(values: NDArray[Any], others: NDArray[Any]) -> float:
    """``psnr``, at most ``IDENTICAL``, so that a mean over many stays a number."""
    return min(IDENTICAL, psnr(values, others))
