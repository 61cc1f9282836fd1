"""DDIM inversion (arXiv 2010.02502): to the noise with the source prompt, back with the target prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.flow import Euler, Observer, integrate
from undrift.methods.base import EditMethod, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.pair import inverted_picture


class DDIMParams(Params):
    """Parameters of ``ddim``, and those that all methods share which invert by it."""

    steps: int = Field(50, ge=1, le=1000, description="N, of inversion and of sampling")
    guidance: float = Field(7.5, ge=0, description="guidance while sampling")
    inversion_guidance: float = Field(1.0, ge=0, description="guidance while inverting the source prompt")


class DDIM(EditMethod):
    """z <- sqrt(a') x0 + sqrt(1 - a') e both ways, with nothing that holds the picture.

    On the way up e is evaluated at the step's end (``LateNoise``), on the way down at its beginning (``Euler``): what
    diffusers' DDIMInverseScheduler and DDIMScheduler compute.

    Source: Song et al. 2021, "Denoising Diffusion Implicit Models", arXiv 2010.02502, equation 12 and section 4.3.
    """

    name: ClassVar[str] = "ddim"
    title: ClassVar[str] = "DDIM inversion"
    paper: ClassVar[str] = "Denoising Diffusion Implicit Models, arXiv 2010.02502"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {"default": DDIMParams(), "reconstruct": DDIMParams(guidance=1.0)}
    )
    params: DDIMParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p = self.params
        return Cost.of(model, (p.steps, p.inversion_guidance), (p.steps, p.guidance))

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, geometry = self.params, request.previous.geometry
        noise = inverted_picture(
            backbone, request, request.source_prompts, p.steps, p.inversion_guidance, observers
        ).final
        field = backbone.velocity_field(backbone.embed(request.target_prompts), geometry, p.guidance)
        sampling = integrate(field, Euler(), noise, backbone.sigmas(p.steps, geometry), observers=observers)
        return EditResult.of(geometry, sampling.final)
