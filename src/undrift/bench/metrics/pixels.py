"""Pixels as metrics compare them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from undrift.bench.case import Mask
from undrift.errors import InputError

SMALLEST_AREA = 0.01
Pixels = NDArray[np.float64]
"""(height, width, 3), 0 to 255."""


def pixels(picture: Image.Image) -> Pixels:
    """RGB values from 0 to 255."""
    return np.asarray(picture.convert("RGB"), dtype=np.float64)


def pixels_of(*pictures: Image.Image) -> list[Pixels]:
    """``pixels`` of pictures that are to be compared.

    Raises:
        InputError: they have different sizes.
    """
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        given = " and ".join(f"{width}x{height}" for width, height in sorted(sizes))
        raise InputError(f"pictures of {given} pixels cannot be compared; give pictures of the original's size")
    return [pixels(picture) for picture in pictures]


def enough(where: Mask) -> bool:
    """Whether a region is large enough to say something about it: a hundredth of the picture.

    What little is left when nearly everything was edited is edges, where an autoencoder is worst.
    """
    return bool(where.mean() >= SMALLEST_AREA)


def grown(mask: Mask, by: int) -> Mask:
    """``mask`` with a border of ``by`` pixels around it."""
    return window_sums(mask.astype(np.float64), by) > 0.5


def window_sums(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Sums over the (2 reach + 1)-wide square around every pixel; beyond the border is 0.

    Args:
        values: (height, width) or (height, width, channels).
        reach: pixels to every side.
    """
    side = 2 * reach + 1
    padding = ((reach + 1, reach), (reach + 1, reach), *((0, 0),) * (values.ndim - 2))
    summed = np.pad(values, padding).cumsum(0).cumsum(1)
    total: NDArray[np.float64] = (
        summed[side:, side:] - summed[:-side, side:] - summed[side:, :-side] + summed[:-side, :-side]
    )
    return total
