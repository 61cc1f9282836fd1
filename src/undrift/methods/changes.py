"""Where one picture differs from another, and putting back every other pixel bit for bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from undrift.backbones.base import Geometry

CELLS = 4
"""Cells per side of a token in which changed pixels are looked for."""


@dataclass(frozen=True)
class Thresholds:
    """What counts as a change, in the units of the largest channel difference, [0, 1].

    Attributes:
        weak: a cell beside a changed one has changed from here on.
        strong: a cell has changed by itself from here on.
        grow: cells by which what has changed is widened; the edge fades out across one cell more.
    """

    weak: float
    strong: float
    grow: int


def changed_cells(before: Image.Image, after: Image.Image, cell: int, thresholds: Thresholds) -> Tensor:
    """The cells of ``cell`` x ``cell`` pixels that changed, bool (rows, columns); pictures of any one size.

    c is the largest channel difference, averaged over a cell and its eight neighbours. A cell has changed where
    c > strong, and wherever c > weak is connected to such a cell (thresholding with hysteresis, Canny 1986, section
    V): what a decoder alters faintly everywhere stays out, and a changed thing is taken whole. What was found is then
    widened by ``grow`` cells and by one for the seam, so that the seam lies beyond the rim of what has gone: half
    of that rim left in place is what shows of a thing that was taken away.
    """
    difference = (_values(after) - _values(before)).abs().amax(-1)
    height, width = difference.shape
    padded = functional.pad(difference[None, None], (0, -width % cell, 0, -height % cell), mode="replicate")
    mean = functional.avg_pool2d(functional.avg_pool2d(padded, cell), 3, 1, 1, count_include_pad=False)
    found = connected((mean > thresholds.strong)[0, 0], (mean > thresholds.weak)[0, 0])
    reach = thresholds.grow + 1
    return functional.max_pool2d(found[None].float(), 2 * reach + 1, 1, reach)[0] > 0


def composed(before: Image.Image, after: Image.Image, cells: Tensor, cell: int) -> Image.Image:
    """``after`` where cells changed, ``before`` bit for bit where they did not, and a seam of one cell between.

    The seam lies inside the changed cells: weights rise linearly from the border of the outermost.
    """
    inner = -functional.max_pool2d(-functional.pad(cells[None, None].float(), (1, 1, 1, 1), mode="replicate"), 3, 1)
    weight = functional.interpolate(inner, scale_factor=cell, mode="bilinear", align_corners=False)[0, 0]
    weight = weight[: before.height, : before.width, None] * enlarged(cells, cell, before.size)[..., None]
    old, new = _values(before), _values(after)
    mixed = ((old + weight * (new - old)) * 255.0).round().to(torch.uint8).numpy()
    return Image.fromarray(np.where(weight.numpy() > 0, mixed, np.asarray(before.convert("RGB"))))


def tokens_of(cells: Tensor, per_token: int) -> Tensor:
    """Which tokens hold a changed cell, bool (token rows, token columns)."""
    height, width = cells.shape
    padded = functional.pad(cells[None, None].float(), (0, -width % per_token, 0, -height % per_token))
    return functional.max_pool2d(padded, per_token)[0, 0] > 0


def kept_elsewhere(
    picture: Image.Image, before: Image.Image, after: Image.Image, geometry: Geometry, thresholds: Thresholds
) -> tuple[Image.Image, Tensor]:
    """``after`` where it differs from ``before``, ``picture`` bit for bit elsewhere, and the tokens that it touches.

    Args:
        picture: what was edited.
        before: the same through the autoencoder that made ``after``, so that what this one alone does is no change.
        after: what the edit made of it.
        geometry: of the tokens.
        thresholds: what counts as a change.

    Returns:
        The picture, and (rows, columns) of 1 for a token with a changed cell and 0 for one without.
    """
    cell = cell_side(geometry)
    cells = changed_cells(before, after, cell, thresholds)
    return composed(picture, after, cells, cell), touched(cells, geometry)


def brought_home(
    picture: Image.Image,
    original: Image.Image,
    decoded: tuple[Image.Image, Image.Image],
    geometry: Geometry,
    thresholds: Thresholds,
) -> tuple[Image.Image, Tensor]:
    """``original`` bit for bit where the edit changed ``picture``, with all earlier changes that this touches.

    What was changed elsewhere, by hand for instance, stays. Where the edit changed nothing, all of it comes home.

    Args:
        picture: what was edited.
        original: what the words ask for again.
        decoded: the picture before and after the edit, both through the autoencoder.
        geometry, thresholds: as for ``kept_elsewhere``.

    Returns:
        As ``kept_elsewhere``.
    """
    cell = cell_side(geometry)
    made, since = changed_cells(*decoded, cell, thresholds), _different(picture, original, cell)
    cells = connected(made if made.any() else since, made | since)
    here = enlarged(cells, cell, picture.size)[..., None].numpy() > 0
    home = np.where(here, np.asarray(original.convert("RGB")), np.asarray(picture.convert("RGB")))
    return Image.fromarray(home), touched(cells & since, geometry)


def cell_side(geometry: Geometry) -> int:
    """Pixels of a cell's side."""
    return max(1, geometry.token_side // CELLS)


def touched(cells: Tensor, geometry: Geometry) -> Tensor:
    """(rows, columns) of the tokens: 1 for one that holds a cell of ``cells``, else 0."""
    rows, columns = (tokens := tokens_of(cells, geometry.token_side // cell_side(geometry))).shape
    # What lies in the padding of the grid alone is untouched.
    padding = 0, max(0, geometry.columns - columns), 0, max(0, geometry.rows - rows)
    return functional.pad(tokens.float(), padding)[: geometry.rows, : geometry.columns]


def _different(one: Image.Image, other: Image.Image, cell: int) -> Tensor:
    """The cells in which any byte differs, bool (rows, columns)."""
    differs = (_values(one) != _values(other)).any(-1).float()
    height, width = differs.shape
    padded = functional.pad(differs[None, None], (0, -width % cell, 0, -height % cell))
    return functional.max_pool2d(padded, cell)[0, 0] > 0


def connected(seeds: Tensor, within: Tensor) -> Tensor:
    """The parts of ``within`` (rows, columns) that hold a seed; 8-neighbours are connected."""
    allowed, found = within[None].float(), (seeds & within)[None].float()
    while True:
        grown = functional.max_pool2d(found, 3, 1, 1) * allowed
        if torch.equal(grown, found):
            return found[0] > 0
        found = grown


def enlarged(cells: Tensor, cell: int, size: tuple[int, int]) -> Tensor:
    """``cells`` by pixel, (height, width) of 0 and 1, for a picture of ``size`` (width, height)."""
    rows = cells.float().repeat_interleave(cell, 0).repeat_interleave(cell, 1)
    return rows[: size[1], : size[0]]


def _values(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture.convert("RGB"))).float() / 255.0
