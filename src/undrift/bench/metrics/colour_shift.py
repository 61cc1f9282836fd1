"""How far the average colour has moved: the tint that creeps over a picture which is edited again and again.

Delta E = || mean Lab(picture) - mean Lab(anchor) ||: the Euclidean distance (CIE 1976) of the mean CIE Lab colours
under D65 over the pixels looked at. 2 is just visible on flat colour. Where details move but the tint stays, it
stays near 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from undrift.bench.metrics.anchors import Formula, everywhere, of_values
from undrift.bench.metrics.pixels import Pixels

_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""Linear sRGB to XYZ (IEC 61966-2-1); its rows sum to the white point D65."""
_KNEE = 6 / 29


def lab(values: Pixels) -> NDArray[np.float64]:
    """CIE Lab under D65 of sRGB values from 0 to 255, (..., 3)."""
    encoded = values / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    relative = linear @ _XYZ.T / _XYZ.sum(axis=1)
    f = np.where(relative > _KNEE**3, np.cbrt(relative), relative / (3 * _KNEE**2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def mean_shift(picture: Pixels, anchor: Pixels) -> float:
    """Delta E of the mean colours of two sets of values, (count, 3)."""
    return float(np.linalg.norm(lab(picture).mean(axis=0) - lab(anchor).mean(axis=0)))


METRICS = everywhere(Formula("colour-shift", "Colour shift since", "ΔE", False, of_values(mean_shift)))
