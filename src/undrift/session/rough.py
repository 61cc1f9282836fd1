"""Latents to pictures roughly, by arithmetic alone: looks at a turn under way for which no network has to move."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from undrift.backbones.base import Geometry, Latent
from undrift.backbones.pictures import to_images, to_tensor

SUBSQUARES = 2
"""Sides of a token's square in squares of one colour each."""

RIDGE = 1e-3
"""Of the channels' mean variance: keeps directions that the known pictures hardly show from being amplified."""


class RoughDecoder:
    """The affine map from a token to the mean colours of the ``SUBSQUARES``^2 squares that it covers.

    It is the ridge regression W = (Z^T Z + r I)^-1 Z^T C over the tokens of pictures whose latents are known, Z their
    latents less the mean, C the squares' colours less theirs; a picture is c + (z - m) W, enlarged bilinearly. That
    colours are nearly linear in a VAE's latents is what the "latent to RGB" previews of other programs rest on, with
    factors that somebody fitted to one VAE; this one is fitted to the session's own pictures, whatever the VAE.
    """

    def __init__(self, known: Sequence[tuple[Image.Image, Latent]]) -> None:
        """
        Args:
            known: pictures and their latents, one row each; at least one.
        """
        z = torch.cat([_tokens(latent) for _, latent in known])
        colours = torch.cat([_colours(picture, latent.geometry) for picture, latent in known])
        self._latent_mean, self._colour_mean = z.mean(0), colours.mean(0)
        z, colours = z - self._latent_mean, colours - self._colour_mean
        square = z.T @ z
        ridge = RIDGE * square.diagonal().mean().clamp(min=1e-12)
        self._weights = torch.linalg.solve(square + ridge * torch.eye(len(square), dtype=square.dtype), z.T @ colours)

    def picture(self, latent: Latent) -> Image.Image:
        """The first row of ``latent`` as a picture of its geometry's size."""
        geometry = latent.geometry
        colours = (_tokens(latent) - self._latent_mean) @ self._weights + self._colour_mean
        squares = colours.reshape(geometry.rows, geometry.columns, 3, SUBSQUARES, SUBSQUARES)
        grid = squares.permute(2, 0, 3, 1, 4).reshape(1, 3, geometry.rows * SUBSQUARES, geometry.columns * SUBSQUARES)
        size = (geometry.rows * geometry.token_side, geometry.columns * geometry.token_side)
        return to_images(functional.interpolate(grid, size, mode="bilinear"), geometry)[0]


def _tokens(latent: Latent) -> Tensor:
    """(tokens, channels) of the first row, float64 on the CPU."""
    return latent.packed[0].detach().cpu().double()  # Apple's GPUs have no float64


def _colours(picture: Image.Image, geometry: Geometry) -> Tensor:
    """(tokens, 3 * SUBSQUARES^2): the mean colours of every token's squares, in [-1, 1]."""
    pixels = to_tensor([picture], geometry, geometry.token_side).double()
    means = functional.adaptive_avg_pool2d(pixels, (geometry.rows * SUBSQUARES, geometry.columns * SUBSQUARES))
    squares = means.reshape(3, geometry.rows, SUBSQUARES, geometry.columns, SUBSQUARES)
    return squares.permute(1, 3, 0, 2, 4).reshape(geometry.tokens, -1)
