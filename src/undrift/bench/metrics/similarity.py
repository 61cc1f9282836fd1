"""SSIM: structural similarity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from undrift.bench.metrics.pixels import Pixels

REACH = 5
_SIGMA = 1.5
_SMALL = (0.01**2, 0.03**2)


def ssim_map(a: Pixels, b: Pixels) -> NDArray[np.float64]:
    """SSIM of every 11 x 11 window that fits into the picture, the mean of the channels, (height - 10, width - 10).

    ((2 m_a m_b + c1)(2 s_ab + c2)) / ((m_a^2 + m_b^2 + c1)(s_a^2 + s_b^2 + c2)) of values from 0 to 1 under a
    Gaussian of deviation 1.5; c1 = 0.01^2, c2 = 0.03^2. Source: Wang et al. 2004.
    """
    x, y = a / 255.0, b / 255.0
    first, second, squares, others, products = (_blurred(v) for v in (x, y, x * x, y * y, x * y))
    spread = (squares - first**2).clip(min=0) + (others - second**2).clip(min=0)
    c1, c2 = _SMALL
    similar = (2 * first * second + c1) * (2 * (products - first * second) + c2)
    values: NDArray[np.float64] = similar / ((first**2 + second**2 + c1) * (spread + c2))
    result: NDArray[np.float64] = values.mean(axis=-1)
    return result


def mirrored(values: Pixels) -> Pixels:
    """``values`` with five mirrored pixels around them, so that every pixel has its window: torchmetrics' way."""
    return np.pad(values, ((REACH, REACH), (REACH, REACH), (0, 0)), mode="reflect")


def _blurred(values: Pixels) -> Pixels:
    """The Gaussian mean over every window that fits, first down, then across."""
    weights = np.exp(-((np.arange(-REACH, REACH + 1) / _SIGMA) ** 2) / 2)
    weights = weights / weights.sum()
    height, width = values.shape[0] - 2 * REACH, values.shape[1] - 2 * REACH
    down = sum(weight * values[at : at + height] for at, weight in enumerate(weights))
    across: Pixels = sum(weight * down[:, at : at + width] for at, weight in enumerate(weights))
    return across
