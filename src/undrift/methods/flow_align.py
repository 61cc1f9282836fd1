"""FlowAlign (arXiv 2505.23145): FlowEdit's coupling, guided from the source prompt, and held to the source's path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.flow import Euler, Follower, Observer, VelocityField, image_from_velocity, integrate, interpolate
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, Params, seeded_noise
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.flowedit import NoiseSource


class FlowAlignParams(Params):
    """Parameters of ``flow_align``."""

    steps: int = Field(33, ge=1, le=1000, description="N; a turn costs 3 N evaluations")
    guidance: float = Field(7.5, ge=0, description="w, guidance from the source prompt to the target prompt")
    base_guidance: float = Field(1.0, ge=0, description="guidance of each of the three velocities by itself")
    alignment: float = Field(0.01, ge=0, le=1, description="zeta, pull of a step towards the source's own picture")


class AlignedField(Follower):
    """v(p, source) - v(q, source) + w (v(p, target) - v(p, source)) + zeta / h (E[q0] - E[p0]).

    q = (1 - sigma) x + sigma e with fresh noise e, p = q + z - x; E[q0] = q - sigma v_q and E[p0] = p - sigma v_p
    with v_q = v(q, source) and v_p the guided velocity at p. Times ``region``, (batch, tokens), where one is given.
    """

    def __init__(
        self,
        source: VelocityField,
        target: VelocityField,
        image: Tensor,
        noise: NoiseSource,
        params: FlowAlignParams,
        region: Tensor | None = None,
    ) -> None:
        self.parts = (source, target)
        self._source, self._target, self._image, self._noise = source, target, image, noise
        self._params, self._region = params, region

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        step, p = self.step, self._params
        noised = interpolate(self._image, self._noise(step.index), sigma)
        # In this order a state that has not moved is noised to the same bit.
        moved = noised + (x - self._image)
        before, here = self._source(noised, sigma), self._source(moved, sigma)
        guided = here + p.guidance * (self._target(moved, sigma) - here)
        apart = image_from_velocity(noised, before, sigma) - image_from_velocity(moved, guided, sigma)
        velocity = guided - before + p.alignment / (step.sigma_next - step.sigma) * apart
        return velocity if self._region is None else velocity * self._region.unsqueeze(-1)


class FlowAlign(EditMethod):
    """The source prompt's velocity is what the target prompt is guided away from; a small term holds the result.

    z <- z + h [v(p, source) - v(q, source) + w (v(p, target) - v(p, source))] + zeta (E[q0] - E[p0]), the equation of
    ``AlignedField``, over the whole schedule and from the picture itself. At w = 1 and zeta = 0 it is FlowEdit at
    equal guidance.

    Source: Kim et al. 2025, "FlowAlign: Trajectory-Regularized, Inversion-Free Flow-based Image Editing",
    arXiv 2505.23145, algorithm 1; numbers as in the authors' code, which is for SD 3.
    """

    name: ClassVar[str] = "flow_align"
    title: ClassVar[str] = "FlowAlign"
    paper: ClassVar[str] = "FlowAlign: Trajectory-Regularized, Inversion-Free Editing, arXiv 2505.23145"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType({"default": FlowAlignParams()})
    dial: ClassVar[Dial] = MappingProxyType({"guidance": (13.5, 2.0)})
    params: FlowAlignParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        return Cost.of(model, (3 * self.params.steps, self.params.base_guidance))

    def draws_noise(self) -> bool:
        return True

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, image, geometry = self.params, request.previous.packed, request.previous.geometry
        source = backbone.velocity_field(backbone.embed(request.source_prompts), geometry, p.base_guidance)
        target = backbone.velocity_field(backbone.embed(request.target_prompts), geometry, p.base_guidance)

        def noise(number: int) -> Tensor:
            return seeded_noise(request.seeds, image, stream=number)

        field = AlignedField(source, target, image, noise, p, request.editable_tokens)
        sigmas = backbone.sigmas(p.steps, geometry)
        return EditResult.of(geometry, integrate(field, Euler(), image, sigmas, observers=observers).final)
