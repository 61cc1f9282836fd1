"""Another canvas for a picture: a part of it, or more than it has around it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from undrift.errors import InputError
from undrift.pictures import MAX_MEGAPIXELS, MAX_SIDE

LEAST_SIDE = 16
"""Pixels a side: a smaller picture has nothing that could be edited."""


class Frame(NamedTuple):
    """A rectangle in pixels of a picture, which it may leave on every side."""

    left: int
    top: int
    width: int
    height: int


def framed(picture: Image.Image, frame: Frame) -> Image.Image:
    """What ``frame`` shows of ``picture``, RGB; beyond its edges it is mirrored, so that nothing breaks off there.

    Raises:
        InputError: a frame that has nothing of the picture, or is too small or too large.
    """
    check_frame(frame, picture.size)
    left, top, width, height = frame
    right, bottom = left + width, top + height
    beyond = ((max(0, -top), max(0, bottom - picture.height)), (max(0, -left), max(0, right - picture.width)), (0, 0))
    inside = (max(0, left), max(0, top))
    pixels = np.pad(np.asarray(picture.convert("RGB")), beyond, mode="symmetric")
    return Image.fromarray(pixels[inside[1] : inside[1] + height, inside[0] : inside[0] + width])


def beyond(frame: Frame, size: tuple[int, int]) -> Image.Image | None:
    """What ``frame`` has beyond a picture of ``size``: L of the frame's size, white there; None if nothing is."""
    left, top, width, height = frame
    known = (max(0, -left), max(0, -top), min(width, size[0] - left), min(height, size[1] - top))
    if known == (0, 0, width, height):
        return None
    new = Image.new("L", (width, height), 255)
    new.paste(0, known)
    return new


def check_frame(frame: Frame, size: tuple[int, int], megapixels: float = MAX_MEGAPIXELS) -> None:
    """Refuse a frame that a picture of ``size`` cannot be brought to.

    Raises:
        InputError: it has nothing of the picture, or is too small or larger than ``megapixels``.
    """
    left, top, width, height = frame
    if min(width, height) < LEAST_SIDE or max(width, height) > MAX_SIDE or width * height > megapixels * 1e6:
        raise InputError(
            f"the frame is {width}x{height}, expected {LEAST_SIDE} to {MAX_SIDE} pixels a side"
            f" and at most {megapixels:g} megapixels"
        )
    if left >= size[0] or top >= size[1] or left + width <= 0 or top + height <= 0:
        raise InputError(
            f"the frame has nothing of the picture: it goes from {left},{top} to {left + width},{top + height},"
            f" the picture has {size[0]}x{size[1]} pixels"
        )
