"""Two pictures side by side: what changed, where and how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from undrift.errors import InputError
from undrift.session import drift
from undrift.session.model import DriftNumbers, Turn
from undrift.session.store import Session

_LEVELS = (0, 3, 12, 40, 110, 255)
_COLOURS = ((255, 255, 255), (255, 244, 196), (254, 205, 92), (243, 120, 45), (196, 25, 44), (88, 0, 52))
_MARKER = (255, 110, 20)
_GROUND = 0.16
"""How much of the picture shines through where nothing changed."""


@dataclass(frozen=True)
class Comparison:
    """Two turns compared over the whole picture.

    Attributes:
        numbers: psnr and fraction of changed pixels, as for drift, everywhere.
        mean: mean absolute difference of the 8-bit channels.
        largest: largest difference of a channel.
        heat: see ``heat_map``.
    """

    numbers: DriftNumbers
    mean: float
    largest: int
    heat: Image.Image


def compare(session: Session, first: Turn, second: Turn) -> Comparison:
    """Compare two turns of ``session``."""
    a, b = session.picture(first), session.picture(second)
    change = drift.difference(a, b)
    everywhere = np.ones(change.shape[:2], dtype=bool)
    return Comparison(drift.measure(a, b, everywhere), float(change.mean()), int(change.max()), heat_map(a, b))


def heat_map(a: Image.Image, b: Image.Image) -> Image.Image:
    """Where two RGB pictures differ: pale where they are equal, then yellow, orange, red and dark red.

    The colour of a pixel stands for its largest channel difference on a fixed scale (12 of 255 is yellow, 110 is
    red), so that maps of different turns compare. The second picture shines through faintly.

    Raises:
        InputError: the pictures have different sizes.
    """
    if a.size != b.size:
        given = " and ".join(f"{p.width}x{p.height}" for p in (a, b))
        raise InputError(f"the pictures are {given}, expected one size: only pictures of one size can be compared")
    change = drift.difference(a, b).max(axis=-1)
    scale = np.stack(
        [np.interp(np.arange(256), _LEVELS, channel) for channel in zip(*_COLOURS, strict=True)], axis=-1
    )
    ground = 1.0 - _GROUND * (1.0 - np.asarray(b.convert("L"), dtype=np.float64) / 255.0)
    return Image.fromarray((scale[change] * ground[..., None]).round().astype(np.uint8))


def mask_overlay(
    picture: Image.Image, mask: Image.Image, size: tuple[int, int] | None = None, token_side: int | None = None
) -> Image.Image:
    """``picture``, orange where ``mask`` is white and pale where it is black.

    Args:
        picture: RGB.
        mask: L, one pixel per token or of the picture's size.
        size: of the result, (width, height), by default the picture's; the mask's steps stay sharp.
        token_side: as ``Turn.token_side``.
    """
    size = size or picture.size
    whole = mask if mask.size == picture.size else drift.enlarged(mask, picture.size, token_side)
    shown = picture.resize(size, Image.Resampling.LANCZOS)
    pale = Image.blend(shown, Image.new("RGB", size, "white"), 0.6)
    marked = Image.blend(shown, Image.new("RGB", size, _MARKER), 0.35)
    return Image.composite(marked, pale, whole.resize(size, Image.Resampling.NEAREST))
