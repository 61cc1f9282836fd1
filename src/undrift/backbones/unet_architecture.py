"""The shape of a conditional UNet: where its layers lie, and what grid of tokens goes with them.

Taps work on one grid. It is that of the coarsest layers on the way down in which the image attends to the prompt: of
Stable Diffusion 1, whose latents are 64 x 64 for a picture of 512, these are 16 x 16, the layers that
Prompt-to-Prompt and its successors take their maps from. A token then holds 4 x 4 latent pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from undrift.attention.sites import Site
from undrift.backbones.base import Capabilities, Geometry
from undrift.backbones.unet_attention import Layer
from undrift.errors import ModelError


@dataclass(frozen=True)
class UNetArchitecture:
    """A UNet's shape.

    Attributes:
        layers: its attention layers in running order.
        levels: resolutions, each half of the one before.
        map_level: that of the grid of tokens.
        channels: of the latent.
        text_tokens: columns that every prompt takes.
        latent_side: of a latent pixel, in pixels of the picture.
        number_bytes: of a number in the dtype that the network computes in.
    """

    layers: Mapping[Site, Layer]
    levels: int
    map_level: int
    channels: int
    text_tokens: int
    latent_side: int
    number_bytes: int

    @classmethod
    def of(
        cls, config: Mapping[str, Any], layers: Mapping[Site, Layer], *, text_tokens: int, vae: Any, number_bytes: int
    ) -> Self:
        """The shape of a ``UNet2DConditionModel``; without a VAE its latent pixels are 8 pixels wide.

        Raises:
            ModelError: no layer on the way down attends to the prompt.
        """
        crossing = [layer.level for layer in layers.values() if layer.reads_text and layer.down]
        if not crossing:
            raise ModelError(
                "this UNet attends to the prompt nowhere on the way down: expected one of Stable Diffusion"
            )
        return cls(
            layers=layers,
            levels=len(config["block_out_channels"]),
            map_level=max(crossing),
            channels=config["in_channels"],
            text_tokens=text_tokens,
            latent_side=8 if vae is None else int(2 ** (len(vae.config.block_out_channels) - 1)),
            number_bytes=number_bytes,
        )

    @property
    def patch(self) -> int:
        """Side in latent pixels of the square that one token holds."""
        return int(2**self.map_level)

    @property
    def token_side(self) -> int:
        """Side in pixels of the square of the picture that one token covers."""
        return self.patch * self.latent_side

    @property
    def capabilities(self) -> Capabilities:
        """Cross-attention makes maps where it has the grid's resolution; self-attention shares features
        everywhere."""
        text = tuple(site for site, layer in self.layers.items() if layer.reads_text)
        return Capabilities(
            guidance="two_evaluations",
            map_sites=tuple(site for site in text if self.layers[site].level == self.map_level),
            text_sites=text,
            sharing_sites=tuple(site for site in self.layers if site not in text),
        )

    def geometry(self, size: tuple[int, int]) -> Geometry:
        """The grid reaches as far beyond the picture as it takes for every resolution to be half of the one
        before."""
        width, height = size
        step = 2 ** (self.levels - 1 - self.map_level)
        rows, columns = (step * -(-side // (step * self.token_side)) for side in (height, width))
        return Geometry(height, width, rows, columns, self.token_side)

    def feature_bytes(self, site: Site, geometry: Geometry) -> int:
        layer = self.layers[site]
        image = geometry.tokens * self.patch**2 // 4**layer.level
        tokens = self.text_tokens if layer.reads_text else image
        return tokens * layer.width * self.number_bytes

    def state_bytes(self, geometry: Geometry) -> int:
        return geometry.tokens * self.patch**2 * self.channels * 4
