"""Whole pictures in another style: functions of the finished picture, in whole numbers and so the same everywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from undrift.littleworld.drawing import Colour

_PAPER: Colour = (250, 247, 238)
_WORLD = 128


def in_style(picture: Image.Image, style: str) -> Image.Image:
    """The picture in a style; "plain" leaves it as it is."""
    return _STYLES[style](picture) if style in _STYLES else picture


def _pencil(picture: Image.Image) -> Image.Image:
    """Dark outlines on paper, and thin colours."""
    tinted = picture.point([(value + paper) // 2 for paper in _PAPER for value in range(256)])
    lines = _edges(picture).point([255 - min(190, 3 * value) for value in range(256)])
    return ImageChops.multiply(tinted, Image.merge("RGB", (lines,) * 3))


def _neon(picture: Image.Image) -> Image.Image:
    """A dark picture in which every edge glows in the colours beside it."""
    dim = picture.point([value * 9 // 25 for value in range(256)] * 3)
    edges = _edges(picture).point([min(255, 4 * value) for value in range(256)])
    lit = ImageChops.multiply(picture, Image.merge("RGB", (edges,) * 3))
    halo = lit.filter(ImageFilter.BoxBlur(2 * _reach(picture)))
    return ImageChops.add(ImageChops.lighter(dim, lit), halo)


def _edges(picture: Image.Image) -> Image.Image:
    """How much the colour changes within a pixel of the world to every side, in grey."""
    pixels, reach = np.asarray(picture), _reach(picture)
    change = _spread(pixels, np.maximum, reach) - _spread(pixels, np.minimum, reach)
    return Image.fromarray(change).convert("L")


def _spread(pixels: NDArray[np.uint8], pick: np.ufunc, reach: int) -> NDArray[np.uint8]:
    """The largest or smallest value of every channel in a square that reaches so many pixels to every side."""
    for axis in (0, 1):
        pixels = np.moveaxis(pixels, axis, 0)
        spread = pixels.copy()
        for step in range(1, reach + 1):
            pick(spread[step:], pixels[:-step], out=spread[step:])
            pick(spread[:-step], pixels[step:], out=spread[:-step])
        pixels = np.moveaxis(spread, 0, axis)
    return np.ascontiguousarray(pixels)


def _reach(picture: Image.Image) -> int:
    """A pixel of the world in pixels of the picture."""
    return max(1, round(picture.width / _WORLD))


_STYLES: dict[str, Callable[[Image.Image], Image.Image]] = {"pencil": _pencil, "neon": _neon}
