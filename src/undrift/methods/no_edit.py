"""The floor of every comparison: nothing is edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.flow import Observer
from undrift.methods.base import EditMethod, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost


class NoEditParams(Params):
    """Parameters of ``no_edit``."""

    round_trip: bool = Field(
        False, description="decode to a picture and encode it again, as handing over pictures does"
    )


class NoEdit(EditMethod):
    """X_k = X_{k-1}, or X_k = encode(decode(X_{k-1})): what an editor that changes nothing scores.

    Source: no paper; the equations above are the whole method.
    """

    name: ClassVar[str] = "no_edit"
    title: ClassVar[str] = "No edit"
    paper: ClassVar[str] = "none (the floor of a comparison)"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {"default": NoEditParams(), "round-trip": NoEditParams(round_trip=True)}
    )
    params: NoEditParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        return Cost()

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        latent = request.previous
        if self.params.round_trip:
            latent = backbone.encode(backbone.decode(latent))
        return EditResult(latent)
