"""SteerFlow (arXiv 2604.01715): sampling steered between the stored inversion and the target prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Geometry
from undrift.flow import (
    Euler,
    Follower,
    Observer,
    ReusedImplicitEuler,
    Step,
    VelocityField,
    evaluations,
    integrate,
    inverted,
)
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, OddSide, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost


class SteerFlowParams(Params):
    """Parameters of ``steerflow``."""

    steps: int = Field(15, ge=1, le=1000, description="N; a turn costs 2 N + 1 evaluations")
    guidance: float = Field(3.5, ge=0, description="guidance of the target velocity")
    inversion_guidance: float = Field(1.0, ge=0, description="guidance while inverting the source prompt")
    alpha: float = Field(
        5.0, ge=0, description="the target enters as 1 - sigma_next^alpha; 0 reconstructs the source"
    )
    agreement: bool = Field(True, description="weigh the target by how well its direction agrees with the source's")
    quantile: float = Field(0.8, gt=0.5, le=1, description="velocity differences between 1 - q and q span the mask")
    sharpness: float = Field(13.0, gt=0, description="slope of the mask's sigmoid")
    closing: OddSide = Field(5, description="side of the mask's closing in tokens, odd; 1 leaves the mask")


class SteeredField(Follower):
    """v_S + m c (v_T - v_S), with v_S the difference quotient of the inversion's states.

    c = (1 - sigma_next^alpha) cos(v_T, v_S), per row, without the cosine where ``agreement`` is off; m the soft mask
    of |v_T - v_S|, per token, times ``region``, so that what must stay retraces the inversion.

    Attributes:
        mask: of the latest call, (batch, tokens) in [0, 1].
    """

    def __init__(
        self,
        target: VelocityField,
        states: Sequence[Tensor],
        geometry: Geometry,
        params: SteerFlowParams,
        region: Tensor | None = None,
    ) -> None:
        self._target, self._states, self._geometry, self._params = target, states, geometry, params
        self.parts = (target,)
        self._region = region
        self.mask: Tensor | None = None

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        step = self.step
        here, there = self._states[-1 - step.index], self._states[-2 - step.index]
        source: Tensor = (there - here) / (step.sigma_next - step.sigma)
        target = self._target(x, sigma)
        difference = target - source
        mask = soft_mask(torch.linalg.vector_norm(difference, dim=-1), self._geometry, self._params)
        self.mask = mask if self._region is None else mask * self._region
        return source + (self._weight(target, source, step) * self.mask).unsqueeze(-1) * difference

    def _weight(self, target: Tensor, source: Tensor, step: Step) -> Tensor | float:
        """c, as (batch, 1) or for all rows alike."""
        late: float = 1.0 - step.sigma_next**self._params.alpha
        if not self._params.agreement:
            return late
        return late * functional.cosine_similarity(target, source, dim=-1).mean(1, keepdim=True)


def soft_mask(size: Tensor, geometry: Geometry, params: SteerFlowParams) -> Tensor:
    """Closing of sigmoid(s (u - 1/2)), u = (size - low) / (high - low) between two quantiles of each row.

    Args:
        size: (batch, tokens), how far target and source velocity differ.

    Returns:
        (batch, tokens) in [0, 1]. Without any difference the mask is 1/2 or less everywhere.
    """
    low = size.quantile(1.0 - params.quantile, dim=1, keepdim=True)
    high = size.quantile(params.quantile, dim=1, keepdim=True)
    scaled = (size - low) / (high - low).clamp(min=1e-8)
    mask = torch.sigmoid(params.sharpness * (scaled - 0.5))
    return closed(mask.reshape(-1, 1, geometry.rows, geometry.columns), params.closing).flatten(1)


def closed(mask: Tensor, side: int) -> Tensor:
    """Grey closing of (batch, 1, rows, columns) with a square: maximum, then minimum, over ``side`` tokens."""
    grown = functional.max_pool2d(mask, side, stride=1, padding=side // 2)
    return -functional.max_pool2d(-grown, side, stride=1, padding=side // 2)


class SteerFlow(EditMethod):
    """Implicit inversion whose stored states give the source velocity for free; a mask blends the target in.

    v = v_S + m (1 - sigma_next^alpha) cos(v_T, v_S) (v_T - v_S), the equation of ``SteeredField``.
    Source: Dao et al. 2026, "SteerFlow: Steering Rectified Flows for Faithful Inversion-Based Image Editing",
    arXiv 2604.01715, sections on the amortized fixed-point solver (N + 1 evaluations), on trajectory interpolation
    and, but for its optional segmentation network, on adaptive masking (N evaluations). Where the target does not
    enter, the inversion is retraced exactly.
    """

    name: ClassVar[str] = "steerflow"
    title: ClassVar[str] = "SteerFlow"
    paper: ClassVar[str] = (
        "SteerFlow: Steering Rectified Flows for Faithful Inversion-Based Editing, arXiv 2604.01715"
    )
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {
            "default": SteerFlowParams(),
            "diffusers": SteerFlowParams(alpha=4.5, quantile=0.95, sharpness=15.0),
            "sd3": SteerFlowParams(steps=30, alpha=5.5, guidance=6.5, quantile=0.95, sharpness=15.0),
        }
    )
    dial: ClassVar[Dial] = MappingProxyType({"alpha": (15.0, 0.5)})
    params: SteerFlowParams

    solver: ClassVar[ReusedImplicitEuler] = ReusedImplicitEuler()

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p = self.params
        inversion = evaluations(self.solver, p.steps), p.inversion_guidance
        return Cost.of(model, inversion, (p.steps, p.guidance), kept_states=p.steps + 1)

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, picture = self.params, request.previous
        source, target = backbone.embed(request.source_prompts), backbone.embed(request.target_prompts)
        sigmas = backbone.sigmas(p.steps, picture.geometry)
        up = backbone.velocity_field(source, picture.geometry, p.inversion_guidance)
        inversion = integrate(up, self.solver, picture.packed, inverted(sigmas), observers=observers, record=True)
        down = backbone.velocity_field(target, picture.geometry, p.guidance)
        field = SteeredField(down, inversion.states, picture.geometry, p, request.editable_tokens)
        sampling = integrate(field, Euler(), inversion.final, sigmas, observers=observers)
        return EditResult.of(picture.geometry, sampling.final, field.mask)
