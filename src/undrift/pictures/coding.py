"""Colours that a file describes by a few numbers in place of a profile, as sRGB.

PNG's cICP counts before a profile, its gAMA and cHRM without a profile and its sRGB chunk alone (PNG, third edition,
4.3), the ``nclx`` box of AVIF without a profile alone. Code points are those of ITU-T H.273.

    light = curve(value);  light of sRGB = A light;  sRGB = curve of sRGB(light)

A turns the primaries into those of sRGB, with Bradford's adaptation from their white to D65. Curves of video (code
points 1, 6, 14, 15) and a gamma of 1/2.2 are those of sRGB by another name: pictures marked so were made for it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from undrift.errors import PictureError
from undrift.pictures.opening import Opened

Point = tuple[float, float]
Floats = NDArray[np.floating[Any]]
Matrix = NDArray[np.float64]
Primaries = tuple[Point, ...]
"""Chromaticities x, y of white, red, green and blue."""

_D65: Point = (0.3127, 0.3290)
SRGB: Primaries = (_D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_PRIMARIES: Mapping[int, Primaries] = {
    5: (_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: ((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_GAMMAS: Mapping[int, float] = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
_HIGH_RANGE: Mapping[int, str] = {16: "PQ", 18: "HLG"}

_USUAL_GAMMA, _NEARLY = 1 / 2.2, 0.005
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_ROWS = 512
_LEVELS = 2**16
"""Of light, finer than 8 bits of sRGB are anywhere."""


@dataclass(frozen=True)
class Coding:
    """What the numbers of a picture mean.

    Attributes:
        gamma: light is the value to this power; None for the curve of sRGB.
        primaries: of its colours.
    """

    gamma: float | None = None
    primaries: Primaries = SRGB

    def to_srgb(self, colours: Image.Image) -> Image.Image:
        """``colours``, L or RGB, in sRGB."""
        values = np.arange(256) / 255
        light = _light_of_srgb(values) if self.gamma is None else values**self.gamma
        if colours.mode == "L" or self.primaries == SRGB:
            return colours.point(_bytes(light).tolist() * len(colours.getbands()))
        table, shown = light.astype(np.float32), _bytes(np.arange(_LEVELS) / (_LEVELS - 1))
        matrix, pixels = _matrix(self.primaries).astype(np.float32), np.asarray(colours)
        made = np.empty_like(pixels)
        for row in range(0, len(pixels), _ROWS):
            linear = (table[pixels[row : row + _ROWS]] @ matrix.T).clip(0, 1)
            made[row : row + _ROWS] = shown[(linear * (_LEVELS - 1) + 0.5).astype(np.uint16)]
        return Image.fromarray(made)


def coding_of(opened: Opened) -> Coding | None:
    """What a file whose pixels are not decoded yet says besides a profile; None if nothing, or if the profile counts.

    Raises:
        PictureError: its light goes beyond a screen's, and no profile says what that is in sRGB.
    """
    image, begins = opened.image, opened.beginning
    has_profile = "icc_profile" in image.info
    if image.format == "PNG":
        stated = begins.partition(b"IDAT")[0].partition(b"\0\0\0\x04cICP")[2]
        if len(stated) >= 4:
            return _by_code_points(stated[0], stated[1], opened.name, has_profile=has_profile)
    boxed = begins.partition(b"colrnclx")[2] if image.format == "AVIF" else b""
    if len(boxed) >= 4 and not has_profile:
        primaries, curve = struct.unpack_from(">HH", boxed)
        return _by_code_points(primaries, curve, opened.name, has_profile=False)
    if has_profile or "srgb" in image.info:
        return None
    return _by_gamma(image.info.get("gamma"), image.info.get("chromaticity"))


def _by_code_points(primaries: int, curve: int, name: str, *, has_profile: bool) -> Coding | None:
    if curve not in _HIGH_RANGE:
        return Coding(_GAMMAS.get(curve), _PRIMARIES.get(primaries, SRGB))
    if has_profile:  # which says what is seen on a screen
        return None
    raise PictureError(f"{name} is of high dynamic range ({_HIGH_RANGE[curve]}), which is not read: save it in sRGB")


def _by_gamma(gamma: float | None, chromaticities: Sequence[float] | None) -> Coding | None:
    """As PNG's gAMA and cHRM say; numbers that can mean no colours say nothing."""
    power = None if not gamma or abs(gamma - _USUAL_GAMMA) < _NEARLY else 1 / gamma
    points = tuple(zip(chromaticities[::2], chromaticities[1::2], strict=True)) if chromaticities else SRGB
    return Coding(power, points if _are_colours(points) else SRGB)


def _are_colours(points: Primaries) -> bool:
    """Whether ``points`` can be a white and three primaries."""
    try:
        return bool(np.isfinite(_matrix(points)).all())
    except (ZeroDivisionError, np.linalg.LinAlgError):
        return False


def _light_of_srgb(values: Floats) -> Floats:
    """IEC 61966-2-1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _bytes(light: Floats) -> NDArray[np.uint8]:
    """Linear light as values of sRGB of 8 bits."""
    light = light.clip(0, 1)
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * values).round().astype(np.uint8)


def _matrix(primaries: Primaries) -> Matrix:
    """A of the formula above."""
    return np.linalg.inv(_to_d65(SRGB)) @ _to_d65(primaries)


def _to_d65(primaries: Primaries) -> Matrix:
    """From light of ``primaries`` to XYZ under D65."""
    white, *colours = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in primaries)
    columns = np.stack(colours, axis=1)
    scaled = columns * np.linalg.solve(columns, white)
    x, y = _D65
    cones = _BRADFORD @ np.array([x / y, 1, (1 - x - y) / y]) / (_BRADFORD @ white)
    adapted: Matrix = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ scaled
    return adapted
