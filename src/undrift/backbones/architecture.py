"""What a turn's cost depends on: every backbone knows it, and so does a description of a model without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from undrift.attention.sites import Site
from undrift.backbones.base import Capabilities, Geometry
from undrift.backbones.geometry import geometry_of


class Architecture(Protocol):
    """The shape of a model. ``undrift.backbones.flux_architecture.FLUX_1`` is one that needs no weights."""

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do, and what a velocity costs."""
        ...

    def geometry(self, size: tuple[int, int]) -> Geometry:
        """The token grid of a picture of ``size`` (width, height)."""
        ...

    def feature_bytes(self, site: Site, geometry: Geometry) -> int:
        """Bytes of one projection (query, key or value) of one picture at ``site``, as ``Backbone`` says."""
        ...

    def state_bytes(self, geometry: Geometry) -> int:
        """Bytes of one state of a trajectory of one picture, in float32."""
        ...


@dataclass(frozen=True)
class TransformerArchitecture:
    """The shape of a transformer of packed tokens that has one width throughout.

    Attributes:
        capabilities: as ``Architecture`` says.
        width: channels of the attention, all heads together.
        channels: of a packed latent token.
        text_tokens: of the attention's sequence, where every prompt takes as many (``Capabilities.fixed_text``).
        token_side: in pixels.
        number_bytes: of a number in the dtype that the network computes in.
    """

    capabilities: Capabilities
    width: int
    channels: int
    text_tokens: int
    token_side: int
    number_bytes: int

    def geometry(self, size: tuple[int, int]) -> Geometry:
        return geometry_of(size[1], size[0], self.token_side)

    def feature_bytes(self, site: Site, geometry: Geometry) -> int:
        text = self.text_tokens if self.capabilities.fixed_text else 0
        return (text + geometry.tokens) * self.width * self.number_bytes

    def state_bytes(self, geometry: Geometry) -> int:
        return geometry.tokens * self.channels * 4
