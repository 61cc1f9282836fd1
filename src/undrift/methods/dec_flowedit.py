"""DecFlowEdit (arXiv 2609.34237): FlowEdit within a map that a first pass of FlowEdit at equal guidance finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Geometry
from undrift.flow import Euler, Observer, Step, StepEnd, integrate
from undrift.methods import sparse
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, OddSide, Params, seeded_noise
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.flowedit import FlowEditField
from undrift.methods.multi_turn import box_mean
from undrift.methods.needs import Need


class DecFlowEditParams(Params):
    """Parameters of ``dec_flowedit``."""

    steps: int = Field(28, ge=1, le=1000, description="T, the length of the schedule")
    n_max: int = Field(24, ge=1, description="the last n_max steps of the schedule are run")
    map_steps: int = Field(24, ge=1, description="steps of the first pass, over the same sigmas; at most n_max")
    source_guidance: float = Field(1.5, ge=0, description="guidance of the source prompt while editing")
    guidance: float = Field(5.5, ge=0, description="guidance of the target prompt while editing")
    map_guidance: float = Field(1.0, ge=0, description="guidance of both prompts in the first pass")
    window: tuple[float, float] = Field((0.25, 0.75), description="part of the first pass that the map sums up")
    smoothing: OddSide = Field(5, description="side of the map's mean in tokens, odd; 1 leaves it")
    quantiles: tuple[float, float] = Field((0.1, 0.9), description="quantiles of the map that become 0 and 1")
    threshold: float = Field(0.55, description="where between them the mask is 1/2")
    softness: float = Field(0.08, gt=0, description="width of the mask's sigmoid")
    sparse: bool = Field(False, description=sparse.DESCRIPTION)

    @model_validator(mode="after")
    def _counts_fit(self) -> Self:
        if not self.map_steps <= self.n_max <= self.steps:
            raise ValueError(f"need map_steps <= n_max <= steps, got {self.map_steps}, {self.n_max}, {self.steps}")
        low, high = self.quantiles
        if not 0.0 <= low < high <= 1.0:
            raise ValueError(f"need 0 <= low < high <= 1 as quantiles, got {low} and {high}")
        if not any(within(self.window, index, self.map_steps) for index in range(self.map_steps)):
            raise ValueError(f"no middle of {self.map_steps} steps lies within the window {list(self.window)}")
        return self


def within(window: tuple[float, float], index: int, count: int) -> bool:
    """Whether the middle of step ``index`` of ``count`` lies in a window of [0, 1]."""
    return window[0] <= (index + 0.5) / count <= window[1]


class WindowSum(Observer):
    """The sum of the velocities of the steps within a window of the pass, (batch, tokens, channels)."""

    def __init__(self, window: tuple[float, float]) -> None:
        self._window = window
        self.total: Tensor | None = None

    def end(self, event: StepEnd) -> None:
        step: Step = event.step
        if within(self._window, step.index, step.count):
            self.total = event.velocity if self.total is None else self.total + event.velocity


def soft_map(total: Tensor, geometry: Geometry, params: DecFlowEditParams) -> Tensor:
    """M = sigmoid((u - threshold) / softness), u = clip((A - q_low) / (q_high - q_low), 0, 1).

    A is the mean of E = |total| over a square of tokens, the q are its quantiles per row.

    Args:
        total: summed velocity differences, (batch, tokens, channels).

    Returns:
        (batch, tokens) in [0, 1]. A map without any contrast has u = 0, where the formula is 0/0.
    """
    mean = box_mean(torch.linalg.vector_norm(total, dim=-1), geometry, params.smoothing)
    low, high = (mean.quantile(q, dim=1, keepdim=True) for q in params.quantiles)
    scaled = (mean - low) / (high - low).clamp(min=torch.finfo(mean.dtype).tiny)
    return torch.sigmoid((scaled.clamp(0.0, 1.0) - params.threshold) / params.softness)


class DecFlowEdit(EditMethod):
    """FlowEdit twice: at equal guidance to see where the words act, then as usual, but only there.

    1. dV = v(z + q - x, target) - v(q, source), both at guidance 1; E = |sum of dV over the middle half of the steps|
       per token (vectors are summed, then measured), made the mask M by ``soft_map``.
    2. From the picture again, at the usual guidance: z <- z + h M dV.

    Source: "DecFlowEdit", arXiv 2609.34237, sections on the edit map and on masked editing; preset ``short`` finds
    the map in 6 steps over the same sigmas. Where M is 1 it is FlowEdit (arXiv 2412.08629, algorithm 1) to the bit.
    """

    name: ClassVar[str] = "dec_flowedit"
    title: ClassVar[str] = "DecFlowEdit"
    paper: ClassVar[str] = "DecFlowEdit, arXiv 2609.34237"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {
            "default": DecFlowEditParams(),
            "short": DecFlowEditParams(map_steps=6),
            "iou": DecFlowEditParams(threshold=0.4),
        }
    )
    dial: ClassVar[Dial] = MappingProxyType({"threshold": (0.1, 0.9)})
    params: DecFlowEditParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p = self.params
        edit = ((p.n_max, p.source_guidance), (p.n_max, p.guidance))
        kept = sparse.kept_bytes(model, size) if p.sparse else 0
        return Cost.of(model, (2 * p.map_steps, p.map_guidance), *edit, feature_bytes=kept)

    def needs(self) -> tuple[Need, ...]:
        return (sparse.NEED,) if self.params.sparse else ()

    def draws_noise(self) -> bool:
        return True

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, geometry = self.params, request.previous.geometry
        sigmas = backbone.sigmas(p.steps, geometry)[p.steps - p.n_max :]
        places = torch.linspace(0, p.n_max, p.map_steps + 1, dtype=torch.float64).round().long()
        summed = WindowSum(p.window)
        equal = (p.map_guidance, p.map_guidance)
        self._pass(backbone, request, sigmas[places], equal, request.editable_tokens, (summed, *observers))
        mask = soft_map(torch.as_tensor(summed.total), geometry, p)
        if request.editable_tokens is not None:
            mask = mask * request.editable_tokens
        edited = self._pass(backbone, request, sigmas, (p.source_guidance, p.guidance), mask, observers)
        return EditResult.of(geometry, edited, mask)

    def _pass(
        self,
        backbone: Backbone,
        request: EditRequest,
        sigmas: Tensor,
        guidance: tuple[float, float],
        region: Tensor | None,
        observers: Sequence[Observer],
    ) -> Tensor:
        """FlowEdit along ``sigmas`` at a guidance of source and target, each velocity times ``region``."""
        image, geometry = request.previous.packed, request.previous.geometry
        prompts = request.source_prompts, request.target_prompts
        reach = region if self.params.sparse else None

        def noise(number: int) -> Tensor:
            return seeded_noise(request.seeds, image, stream=number)

        with sparse.source_and_target(backbone, prompts, geometry, guidance, reach) as (source, target):
            field = FlowEditField(source, target, image, noise, 1, region)
            return integrate(field, Euler(), image, sigmas, observers=observers).final
