"""Plain rectified flow: Euler to the noise with the source prompt, Euler back with the target prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.flow import Euler, Observer, evaluations, integrate, inverted
from undrift.methods.base import EditMethod, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost


class ReflowParams(Params):
    """Parameters of ``reflow``."""

    steps: int = Field(28, ge=1, le=1000, description="N; a turn costs 2 N evaluations")
    guidance: float = Field(3.5, ge=0, description="guidance while sampling the target prompt")
    inversion_guidance: float = Field(1.0, ge=0, description="guidance while inverting the source prompt")


class Reflow(EditMethod):
    """Euler inversion and Euler sampling, x <- x + h v(x, sigma), with nothing that holds the picture.

    Source: the ODE of Liu et al. 2022, "Flow Straight and Fast", arXiv 2209.03003, equation 1, run both ways.
    """

    name: ClassVar[str] = "reflow"
    title: ClassVar[str] = "Plain inversion and sampling"
    paper: ClassVar[str] = "Flow Straight and Fast (rectified flow), arXiv 2209.03003"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType({"default": ReflowParams()})
    params: ReflowParams

    solver: ClassVar[Euler] = Euler()

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p, calls = self.params, evaluations(self.solver, self.params.steps)
        return Cost.of(model, (calls, p.inversion_guidance), (calls, p.guidance))

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, picture = self.params, request.previous
        source, target = backbone.embed(request.source_prompts), backbone.embed(request.target_prompts)
        sigmas = backbone.sigmas(p.steps, picture.geometry)
        up = backbone.velocity_field(source, picture.geometry, p.inversion_guidance)
        down = backbone.velocity_field(target, picture.geometry, p.guidance)
        inversion = integrate(up, self.solver, picture.packed, inverted(sigmas), observers=observers)
        sampling = integrate(down, self.solver, inversion.final, sigmas, observers=observers)
        return EditResult.of(picture.geometry, sampling.final)
