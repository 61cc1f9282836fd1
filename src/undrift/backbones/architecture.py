"""What a turn's cost depends on: every backbone knows it, and so does a description of a model without weights."""

from __future__ import annotations

from typing import Protocol

from undrift.attention.sites import Site
from undrift.backbones.base import Capabilities, Geometry


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
