"""Token grids, packing and position ids of FLUX: pure functions of shapes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from undrift.errors import InputError

PATCH = 2
"""Side of the square of latent pixels that one token holds."""


@dataclass(frozen=True)
class Geometry:
    """A picture's size and the token grid it is packed into.

    Attributes:
        height, width: of the picture in pixels, before padding.
        rows, columns: of the token grid, which covers the padded picture.
        token_side: in pixels, of the square of the padded picture that one token covers.
    """

    height: int
    width: int
    rows: int
    columns: int
    token_side: int

    @property
    def tokens(self) -> int:
        return self.rows * self.columns


def geometry_of(height: int, width: int, token_side: int) -> Geometry:
    """The grid of tokens, ``token_side`` pixels wide each, that covers a picture; a last part token counts whole.

    Raises:
        InputError: a side below 1 pixel.
    """
    if height < 1 or width < 1:
        raise InputError(f"picture is {width} x {height} pixels, expected at least 1 x 1")
    return Geometry(height, width, -(-height // token_side), -(-width // token_side), token_side)


def pack(latent: Tensor, patch: int = PATCH) -> Tensor:
    """(batch, channels, p rows, p columns) to (batch, rows * columns, channels * p^2), channel-major in a token."""
    batch, channels, height, width = latent.shape
    rows, columns = height // patch, width // patch
    patches = latent.reshape(batch, channels, rows, patch, columns, patch)
    return patches.permute(0, 2, 4, 1, 3, 5).reshape(batch, rows * columns, channels * patch * patch)


def unpack(packed: Tensor, geometry: Geometry, patch: int = PATCH) -> Tensor:
    """The inverse of ``pack``.

    Raises:
        InputError: the number of tokens is not the geometry's.
    """
    check_tokens(packed, geometry)
    batch, _, width = packed.shape
    channels = width // (patch * patch)
    patches = packed.reshape(batch, geometry.rows, geometry.columns, channels, patch, patch)
    latent = patches.permute(0, 3, 1, 4, 2, 5)
    return latent.reshape(batch, channels, geometry.rows * patch, geometry.columns * patch)


def check_tokens(packed: Tensor, geometry: Geometry) -> None:
    """Raises InputError unless ``packed`` is (batch, geometry.tokens, channels)."""
    if packed.ndim != 3 or packed.shape[1] != geometry.tokens:
        raise InputError(
            f"latent has shape {tuple(packed.shape)}, expected (batch, {geometry.tokens}, channels)"
            f" for a grid of {geometry.rows} x {geometry.columns} tokens"
        )


def image_ids(geometry: Geometry) -> Tensor:
    """(tokens, 3) float32: (0, row, column) of every image token."""
    rows = torch.arange(geometry.rows, dtype=torch.float32)
    columns = torch.arange(geometry.columns, dtype=torch.float32)
    grid = torch.cartesian_prod(torch.zeros(1), rows, columns)
    return grid.reshape(geometry.tokens, 3)


def text_ids(tokens: int) -> Tensor:
    """(tokens, 3) float32: text has no position, all zeros."""
    return torch.zeros(tokens, 3)
