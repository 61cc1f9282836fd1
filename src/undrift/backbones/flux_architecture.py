"""The shape of FLUX.1's transformers, known without their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from undrift.attention.sites import Site
from undrift.backbones.base import Capabilities, Geometry
from undrift.backbones.geometry import geometry_of

TEXT_TOKENS = 512
"""Text tokens that FLUX was trained with."""

TOKEN_SIDE = 16
"""Side in pixels of a token: FLUX's autoencoder shrinks sides by 8, and a token holds 2 x 2 of its pixels."""


@dataclass(frozen=True)
class FluxArchitecture:
    """A FLUX transformer's shape; the defaults are FLUX.1-dev's (arXiv 2506.15742, and its published configuration).

    Attributes:
        double, single: blocks of each kind.
        width: channels of the attention, all heads together.
        channels: of a packed latent token.
        text_tokens: of the attention's sequence, in front of the image's.
        token_side: in pixels.
        number_bytes: of a number in the dtype that the network computes in.
        guidance_embedding: whether the guidance value is an input.
    """

    double: int = 19
    single: int = 38
    width: int = 3072
    channels: int = 64
    text_tokens: int = TEXT_TOKENS
    token_side: int = TOKEN_SIDE
    number_bytes: int = 2
    guidance_embedding: bool = True

    @classmethod
    def of(cls, config: Mapping[str, Any], *, text_tokens: int, token_side: int, number_bytes: int) -> Self:
        """The shape of a ``FluxTransformer2DModel`` with this configuration."""
        return cls(
            double=config["num_layers"],
            single=config["num_single_layers"],
            width=config["num_attention_heads"] * config["attention_head_dim"],
            channels=config["in_channels"],
            text_tokens=text_tokens,
            token_side=token_side,
            number_bytes=number_bytes,
            guidance_embedding=bool(config["guidance_embeds"]),
        )

    @property
    def capabilities(self) -> Capabilities:
        """Double blocks make the maps of arXiv 2505.04320, single blocks share the features of arXiv 2411.04746."""
        double, single = (
            tuple(Site(kind, index) for index in range(count))
            for kind, count in (("double", self.double), ("single", self.single))
        )
        return Capabilities(
            guidance="embedded" if self.guidance_embedding else "none",
            map_sites=double,
            text_sites=double,
            sharing_sites=single,
            partial_sites=(*double, *single),
        )

    def geometry(self, size: tuple[int, int]) -> Geometry:
        return geometry_of(size[1], size[0], self.token_side)

    def feature_bytes(self, site: Site, geometry: Geometry) -> int:
        return (self.text_tokens + geometry.tokens) * self.width * self.number_bytes

    def state_bytes(self, geometry: Geometry) -> int:
        return geometry.tokens * self.channels * 4


FLUX_1 = FluxArchitecture()
"""FLUX.1-dev in bfloat16: what costs are told for where no model is loaded."""
