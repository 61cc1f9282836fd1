"""Selecting the thing at a point of a picture by what a model sees in it: no other model, one evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from undrift.attention.likeness import TokenLikeness
from undrift.backbones.base import Backbone, Geometry
from undrift.errors import InputError
from undrift.methods.base import seeded_noise
from undrift.methods.edit_map import otsu_means
from undrift.session.drift import Mask
from undrift.session.edges import fitted
from undrift.session.pieces import pieces, without_holes

SIGMA = 0.3
"""How noisy the picture is when it is looked at: things are told apart about equally well from 0.1 to 0.5."""
LONGEST = 1024
"""Longer side in pixels at which a picture is looked at: where a thing is needs no more, and the cosines' memory
grows with the fourth power."""
LEAST_TOKENS = 16
"""Along the shorter side: a smaller picture is enlarged to as many, or a thing would be a token or two."""
SOFTNESS = 0.2
"""Width of the map's edge in the distance of the two classes' means."""
FILLED = 0.06
"""A hole of at most this part of a thing belongs to it: an eye to a head."""


@dataclass(frozen=True)
class Seen:
    """What a model sees in a picture.

    Attributes:
        cosines: how alike its tokens are, (tokens, tokens), float16.
        geometry: of these tokens.
        pixels: the picture as it was looked at, (height, width, 3), 8 bits.
        size: (width, height) of the picture itself.
    """

    cosines: Tensor
    geometry: Geometry
    pixels: NDArray[np.uint8]
    size: tuple[int, int]


def see(backbone: Backbone, picture: Image.Image, prompt: str) -> Seen:
    """Look at ``picture``, RGB, which shows ``prompt``: one evaluation, the middle third of the layers.

    The picture is looked at between ``LEAST_TOKENS`` and ``LONGEST``; only what is seen is scaled, never the picture.

    Raises:
        InputError: a model that has no layer for it.
    """
    shown = picture.resize(_looked_at(backbone, picture.size), Image.Resampling.LANCZOS)
    latent = backbone.encode([shown])
    geometry, sites = latent.geometry, backbone.sites
    tap = TokenLikeness(geometry.tokens, sites[len(sites) // 3 : max(1, 2 * len(sites) // 3)])
    noise = seeded_noise([0], latent.packed)
    field = backbone.velocity_field(backbone.embed([prompt]), geometry, 1.0)
    with backbone.tapped(tap):
        field((1.0 - SIGMA) * latent.packed + SIGMA * noise, SIGMA)
    return Seen(tap.cosines.half().cpu(), geometry, np.asarray(shown), picture.size)


def thing_at(seen: Seen, point: tuple[float, float], reach: float = 0.5) -> Mask:
    """The thing at ``point``, (x, y) in pixels of the picture: (height, width), True where it is.

    The tokens that are like the one at the point, by Otsu's threshold, and hang together with it are the thing
    roughly. Then the colours in and around it draw its edge (``edges.fitted``), small holes are filled, and
    what hangs together with the point is left.

    Args:
        seen: from ``see``.
        point: within the picture.
        reach: from 0 to 1, how much is taken in: the threshold is at 1 - reach between the means of the classes.

    Raises:
        InputError: a point that is not in the picture.
    """
    if not (0 <= point[0] < seen.size[0] and 0 <= point[1] < seen.size[1]):
        given, size = f"{point[0]:g},{point[1]:g}", f"{seen.size[0]}x{seen.size[1]}"
        raise InputError(f"the point {given} is not in the picture of {size} pixels")
    height, width = seen.pixels.shape[:2]
    column, row = int(point[0] * width / seen.size[0]), int(point[1] * height / seen.size[1])
    likely, near = _rough(seen, row, column, 1.0 - reach)
    drawn = fitted(_in_pixels(likely, seen, "bilinear"), _in_pixels(near, seen, "nearest") > 0, seen.pixels)
    thing = without_holes(_with(drawn, row, column), FILLED)
    return np.asarray(Image.fromarray(thing).convert("L").resize(seen.size, Image.Resampling.BILINEAR)) > 127


def runs_of(mask: Mask) -> list[tuple[int, int, int]]:
    """(row, start, stop) of every run of True pixels, rows from the top."""
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    stops = np.nonzero(steps == -1)[1]
    return list(zip(rows.tolist(), starts.tolist(), stops.tolist(), strict=True))


def _looked_at(backbone: Backbone, size: tuple[int, int]) -> tuple[int, int]:
    side = backbone.geometry(size).token_side
    scale = min(max(1.0, LEAST_TOKENS * side / min(size)), LONGEST / max(size))
    width, height = (max(1, round(scale * length)) for length in size)
    return width, height


def _rough(seen: Seen, row: int, column: int, edge: float) -> tuple[Tensor, Tensor]:
    """How likely each token is part of the thing, and which are near it, (rows, columns) each."""
    grid = (seen.geometry.rows, seen.geometry.columns)
    at = (row // seen.geometry.token_side, column // seen.geometry.token_side)
    alike = seen.cosines[at[0] * grid[1] + at[1]].float()
    low, high = otsu_means(alike)
    apart = max(high - low, 1e-6)
    likely = torch.sigmoid((alike - low - edge * apart) / (SOFTNESS * apart)).view(grid)
    core = torch.from_numpy(_with((likely >= 0.5).numpy(), *at)).float()
    return likely * _grown(core, 1), _grown(core, 2)


def _grown(grid: Tensor, tokens: int) -> Tensor:
    return functional.max_pool2d(grid[None], 2 * tokens + 1, 1, tokens)[0]


def _with(mask: Mask, row: int, column: int) -> Mask:
    """What of ``mask`` hangs together with a place; with the nearest place of the mask where that is not in it."""
    if not mask.any():
        mask = mask.copy()
        mask[row, column] = True
    places = np.argwhere(mask)
    nearest = places[np.abs(places - (row, column)).sum(1).argmin()]
    numbers = pieces(mask)
    piece: Mask = numbers == numbers[tuple(nearest)]
    return piece


def _in_pixels(grid: Tensor, seen: Seen, mode: str) -> NDArray[np.float32]:
    """A map over tokens as one over pixels; the padding is cropped away."""
    height, width = seen.pixels.shape[:2]
    side = seen.geometry.token_side
    whole = functional.interpolate(grid[None, None], scale_factor=float(side), mode=mode)[0, 0]
    return whole[:height, :width].numpy()
