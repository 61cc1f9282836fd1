"""Where a turn may change the picture: masks painted by hand, and holding everything else to the bit.

A region is a grey picture of the session's size: black (0) must stay, white may change, grey may change in part.
Its edge is feathered inwards alone: a pixel's weight is the mean of the region and its first f erosions by a pixel,

    w = (R + erode(R) + ... + erode^f(R)) / ((f + 1) 255),   f = shorter side / 64, at least 1

so that it is 0 where the region is black, and 1 where the region is white and no edge is nearer than f + 1 pixels.
The border of the picture is no edge.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter
from torch import Tensor

from undrift.backbones.base import Geometry, Latent
from undrift.errors import InputError
from undrift.pictures import as_mask, settled

FEATHER = 64
"""The soft edge is this part of the picture's shorter side."""

Weight = NDArray[np.float32]
"""(height, width) in [0, 1]: how much of the edit a pixel takes."""


def region_of(only: Image.Image | None, protect: Image.Image | None, size: tuple[int, int]) -> Image.Image | None:
    """The region that two painted masks describe.

    Args:
        only: white where the picture may change; None for everywhere.
        protect: white where it must stay, grey where it must in part; wins over ``only``.
        size: (width, height) of the picture.

    Returns:
        L, or None if everything may change. See ``undrift.pictures.masks`` for what counts as white.

    Raises:
        InputError: a mask of another size or one that selects nothing, or nothing is left that may change.
        PictureError: it cannot be told what a mask selects.
    """
    allowed = checked(only, size) or Image.new("L", size, 255)
    if protect is not None:
        kept = _sized(protect, size)
        if kept.getextrema()[1] == 0:
            raise InputError(
                "nothing is protected: the mask is black everywhere; paint white where the picture must stay"
            )
        allowed = ImageChops.darker(allowed, ImageChops.invert(kept))
    return checked(settled(allowed), size)


def checked(region: Image.Image | None, size: tuple[int, int]) -> Image.Image | None:
    """``region`` as a turn takes it: L and of the picture's ``size``; None if everything may change.

    Raises:
        InputError: another size, or black everywhere.
    """
    if region is None:
        return None
    mask = _sized(region, size)
    low, high = mask.getextrema()
    if high == 0:
        raise InputError("nothing may change: the mask is black everywhere; paint white where the picture may change")
    return None if low == 255 else mask


def brushed(brush: Image.Image, size: tuple[int, int]) -> Image.Image:
    """``brush`` as a restored turn takes it: L and of the picture's ``size``.

    Raises:
        InputError: another size, or black everywhere.
    """
    return checked(brush, size) or Image.new("L", size, 255)


def weights(region: Image.Image) -> Weight:
    """w of the formula above."""
    feather = max(1, round(min(region.size) / FEATHER))
    total = np.asarray(region, dtype=np.float32)
    eroded = region
    for _ in range(feather):
        eroded = eroded.filter(ImageFilter.MinFilter(3))
        total = total + np.asarray(eroded, dtype=np.float32)
    return total / np.float32(255 * (feather + 1))


def blended(inside: Image.Image, outside: Image.Image, weight: Weight) -> Image.Image:
    """``outside + w (inside - outside)``, rounded: ``outside`` to the bit where w is 0, ``inside`` where it is 1."""
    new, old = (np.asarray(picture.convert("RGB"), dtype=np.float32) for picture in (inside, outside))
    mixed = old + weight[..., None] * (new - old)
    return Image.fromarray(mixed.round().clip(0, 255).astype(np.uint8))


def blended_latent(inside: Latent, outside: Latent, weight: Weight) -> Latent:
    """The same for latents, with the mean weight of a token's pixels: where it is 0, ``outside`` to the bit."""
    w = per_token(weight, outside.geometry).mean(-1).to(outside.packed.device).reshape(1, -1, 1)
    mixed = torch.where(w == 1, inside.packed, torch.lerp(outside.packed, inside.packed, w))
    return Latent(torch.where(w == 0, outside.packed, mixed), outside.geometry)


def changeable(region: Image.Image, geometry: Geometry) -> Tensor:
    """(1, tokens) float32: 0 where a token lies wholly outside ``region``, else 1."""
    allowed = np.asarray(region) > 0
    return per_token(allowed.astype(np.float32), geometry).amax(-1).unsqueeze(0)


def per_token(values: Weight, geometry: Geometry) -> Tensor:
    """Pixel values by token, (tokens, pixels of a token); the padding repeats the edge, as the model's does."""
    side = geometry.token_side
    below, right = geometry.rows * side - geometry.height, geometry.columns * side - geometry.width
    padded = np.pad(values, ((0, below), (0, right)), "edge")
    tokens = padded.reshape(geometry.rows, side, geometry.columns, side).swapaxes(1, 2)
    return torch.from_numpy(tokens.reshape(geometry.tokens, side * side).copy())


def _sized(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    if mask.size != size:
        given, wanted = (f"{width}x{height}" for width, height in (mask.size, size))
        raise InputError(
            f"the mask is {given}, expected the picture's {wanted} pixels: paint it on the picture itself"
        )
    return as_mask(mask)
