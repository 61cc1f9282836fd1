"""Pictures whose look a turn is to take on: as a user gives them, as a session keeps them, as a method takes them.

A session keeps a turn's references in one picture, each above the grey picture of its weights, so that a turn is made
again from its session alone, whatever has become of the files. Nothing that a session says is looked for elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from undrift.backbones.base import Backbone, Geometry
from undrift.errors import InputError
from undrift.methods.references import Reference
from undrift.pictures import MAX_MEGAPIXELS
from undrift.session.region import per_token

MOST = 4
"""References of one turn."""


@dataclass(frozen=True)
class Look:
    """A reference as a user gives it.

    Attributes:
        picture: of the session's size.
        weight: its share of the pull, 0 to 1.
        mask: white where it pulls, of the picture's size; None for everywhere.
    """

    picture: Image.Image
    weight: float = 0.7
    mask: Image.Image | None = None


def sheet_of(looks: Sequence[Look], size: tuple[int, int]) -> Image.Image | None:
    """The picture that a session keeps of ``looks``, RGB, as wide as ``size`` and 2 n as high; None of no looks.

    Raises:
        InputError: too many, another size, a weight out of range, or a reference that pulls nowhere.
    """
    if not looks:
        return None
    if len(looks) > MOST or 2 * len(looks) * size[0] * size[1] > MAX_MEGAPIXELS * 1e6:
        raise InputError(
            f"{len(looks)} references were given, expected at most {MOST} of {MAX_MEGAPIXELS / 2:g} megapixels"
        )
    sheet = Image.new("RGB", (size[0], 2 * len(looks) * size[1]))
    for number, look in enumerate(looks):
        sheet.paste(_fitting(look.picture, size, "reference").convert("RGB"), (0, 2 * number * size[1]))
        sheet.paste(_weights(look, size).convert("RGB"), (0, (2 * number + 1) * size[1]))
    return sheet


def looks_of(sheet: Image.Image, size: tuple[int, int]) -> tuple[Look, ...]:
    """The references in a sheet for pictures of ``size``; their weights are in their masks.

    Raises:
        InputError: it is no such sheet.
    """
    if not is_sheet(sheet.size, size):
        raise InputError(
            f"the sheet of references is {sheet.width}x{sheet.height}, expected {size[0]} pixels wide"
            f" and {2 * size[1]} high for each reference"
        )
    width, height = size
    parts = [sheet.crop((0, top, width, top + height)) for top in range(0, sheet.height, height)]
    return tuple(
        Look(picture, 1.0, weights.convert("L")) for picture, weights in zip(parts[::2], parts[1::2], strict=True)
    )


def is_sheet(of: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether a picture of size ``of`` can be a sheet of references for pictures of ``size``."""
    pairs, rest = divmod(of[1], 2 * size[1])
    return of[0] == size[0] and rest == 0 and 1 <= pairs <= MOST


def anchors(looks: Sequence[Look], backbone: Backbone, geometry: Geometry) -> tuple[Reference, ...]:
    """``looks`` as a method takes them, one row each: latents, and weights averaged over the pixels of a token."""
    made = []
    for look in looks:
        latent = backbone.encode([look.picture]).packed
        values = np.asarray(_weights(look, look.picture.size), dtype=np.float32) / np.float32(255)
        weight = per_token(values, geometry).mean(-1).unsqueeze(0)
        made.append(Reference(latent, weight.to(latent.device, torch.float32)))
    return tuple(made)


def _weights(look: Look, size: tuple[int, int]) -> Image.Image:
    """Weight times mask of every pixel, L: 255 is the weight 1."""
    if not 0.0 < look.weight <= 1.0:
        raise InputError(f"the weight of a reference is {look.weight:g}, expected more than 0 and at most 1")
    mask = Image.new("L", size, 255) if look.mask is None else _fitting(look.mask, size, "mask of a reference")
    weights = mask.point([round(value * look.weight) for value in range(256)])
    if weights.getextrema()[1] == 0:
        raise InputError("a reference pulls nowhere: paint its mask white where it is to, or give it more weight")
    return weights


def _fitting(picture: Image.Image, size: tuple[int, int], what: str) -> Image.Image:
    if picture.size != size:
        given, wanted = (f"{width}x{height}" for width, height in (picture.size, size))
        raise InputError(f"the {what} is {given}, expected the session's {wanted} pixels: resize or crop it first")
    return picture
