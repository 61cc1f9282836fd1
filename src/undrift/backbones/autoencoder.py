"""A pipeline's VAE: pictures to packed latents and back, in the dtype and on the device of its placement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from PIL import Image
from torch import Tensor

from undrift.backbones.base import Latent
from undrift.backbones.finite import check_finite
from undrift.backbones.geometry import PATCH, Geometry, pack, unpack
from undrift.backbones.pictures import to_images, to_tensor
from undrift.backbones.placement import Placement

TILING_ABOVE = 2048
"""Sides above which the VAE works in tiles on a GPU, in pixels."""

Level = float | Tensor
"""One number for all channels of a packed token, or a tensor (channels,) of one for each."""


class Autoencoder:
    """One of diffusers' autoencoders; a packed latent is (the posterior's mean - shift) * scale.

    Args:
        vae: with ``encode`` and ``decode`` as ``AutoencoderKL`` has them.
        placement: where it runs.
        side: of the square of the picture that becomes one latent pixel, in pixels.
        patch: side of the square of latent pixels that one token holds.
        shift, scale: of the latents that the transformer was trained on.
        frames: whether it is a video's, which takes a picture for a video of one frame.
    """

    def __init__(
        self,
        vae: Any,
        placement: Placement,
        *,
        side: int,
        patch: int = PATCH,
        shift: Level = 0.0,
        scale: Level = 1.0,
        frames: bool = False,
    ) -> None:
        self.vae = vae.eval()
        self._tiled = bool(vae.use_tiling)  # as somebody who loaded it may have asked for
        self.token_side = patch * side
        self._patch = patch
        self._placement = placement
        self._shift, self._scale = shift, scale
        self._frames = frames

    @classmethod
    def kl(cls, vae: Any, placement: Placement, patch: int = PATCH) -> Self:
        """Of an ``AutoencoderKL``, whose configuration has one shift and one scale."""
        config = vae.config
        return cls(
            vae,
            placement,
            side=int(2 ** (len(config.block_out_channels) - 1)),
            patch=patch,
            shift=float(config.shift_factor or 0.0),
            scale=float(config.scaling_factor),
        )

    def encode(self, images: Sequence[Image.Image], geometry: Geometry) -> Latent:
        """As ``Backbone.encode``, on a grid that covers the pictures."""
        pixels = to_tensor(images, geometry, self.token_side).to(self._placement.device, self._placement.dtype)
        self._set_tiling(geometry)
        with self._placement.using(self.vae):
            mean = self.vae.encode(self._as_video(pixels)).latent_dist.mode().float()
            self._check(mean, "the encoded picture")
        packed = pack(self._as_picture(mean), self._patch)
        return Latent((packed - self._on(self._shift, packed)) * self._on(self._scale, packed), geometry)

    def decode(self, latent: Latent) -> list[Image.Image]:
        """As ``Backbone.decode``."""
        packed = latent.packed.float()
        levels = packed / self._on(self._scale, packed) + self._on(self._shift, packed)
        grid = unpack(levels, latent.geometry, self._patch).to(self._placement.device, self._placement.dtype)
        self._set_tiling(latent.geometry)
        with self._placement.using(self.vae):
            pixels = self.vae.decode(self._as_video(grid)).sample
            self._check(pixels, "the decoded picture")
        return to_images(self._as_picture(pixels), latent.geometry)

    def _check(self, made: Tensor, what: str) -> None:
        check_finite(made, what, {"vae": self.vae}, self._placement.dtype)

    def _set_tiling(self, geometry: Geometry) -> None:
        large = max(geometry.height, geometry.width) > TILING_ABOVE
        automatic = self._tiled or (large and self._placement.device.type != "cpu")
        self.vae.use_tiling = {"on": True, "off": False}.get(self._placement.tiling, automatic)

    def _as_video(self, tensor: Tensor) -> Tensor:
        return tensor.unsqueeze(2) if self._frames else tensor

    def _as_picture(self, tensor: Tensor) -> Tensor:
        return tensor[:, :, 0] if self._frames else tensor

    @staticmethod
    def _on(level: Level, like: Tensor) -> Level:
        return level.to(like) if isinstance(level, Tensor) else level
