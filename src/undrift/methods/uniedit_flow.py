"""UniEdit-Flow (arXiv 2504.13109): a short implicit inversion, then guidance where the two prompts disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.flow import Euler, Observer, ReusedImplicitEuler, VelocityField, evaluations, integrate, inverted
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost


class UniEditFlowParams(Params):
    """Parameters of ``uniedit_flow``."""

    steps: int = Field(15, ge=1, le=1000, description="N, the length of the schedule")
    alpha: float = Field(0.6, gt=0, le=1, description="share of the schedule, from the picture's end, that is run")
    omega: float = Field(5.0, ge=0, description="strength of the guidance from source to target")
    guidance: float = Field(1.0, ge=0, description="guidance of both prompts while sampling")
    inversion_guidance: float = Field(1.0, ge=0, description="guidance while inverting")
    null_source: bool = Field(True, description="invert with an empty prompt instead of the source prompt")

    @property
    def edited_steps(self) -> int:
        """How many of the steps are inverted and sampled again, at least one."""
        return max(1, round(self.alpha * self.steps))


class RegionGuidedField:
    """m v_T + (1 - m) v_S + (1 + m) omega (v_T - v_S), m the mean |v_T - v_S| of a token, min-max over the row.

    Attributes:
        mask: of the latest call, (batch, tokens) in [0, 1].
    """

    def __init__(self, source: VelocityField, target: VelocityField, omega: float) -> None:
        self.parts = (source, target)
        self._source, self._target, self._omega = source, target, omega
        self.mask: Tensor | None = None

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        source = self._source(x, sigma)
        difference = self._target(x, sigma) - source
        self.mask = min_max(difference.abs().mean(-1))
        m = self.mask.unsqueeze(-1)
        return source + (m + (1.0 + m) * self._omega) * difference


def min_max(values: Tensor) -> Tensor:
    """Each row of (batch, tokens) stretched to [0, 1]; zeros where all its values are equal."""
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    return (values - low) / (high - low).clamp(min=1e-12)


class UniEditFlow(EditMethod):
    """Uni-Inv up to a part of the schedule, then Uni-Edit's region-adaptive guidance and velocity fusion down.

    v = m v_T + (1 - m) v_S + (1 + m) omega (v_T - v_S), the equation of ``RegionGuidedField``.

    Source: Jiao et al. 2025, "UniEdit-Flow: Unleashing Inversion and Editing in the Era of Flow Models",
    arXiv 2504.13109, sections 3 (Uni-Inv) and 4 (Uni-Edit), in the form of the authors' FLUX code, where the
    correction and the guidance are one velocity. With K of N steps run a turn costs (K + 1) + 2 K evaluations.
    """

    name: ClassVar[str] = "uniedit_flow"
    title: ClassVar[str] = "UniEdit-Flow"
    paper: ClassVar[str] = (
        "UniEdit-Flow: Unleashing Inversion and Editing in the Era of Flow Models, arXiv 2504.13109"
    )
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {"default": UniEditFlowParams(), "alpha-0.8": UniEditFlowParams(alpha=0.8)}
    )
    dial: ClassVar[Dial] = MappingProxyType({"alpha": (1.0, 0.3)})
    params: UniEditFlowParams

    solver: ClassVar[ReusedImplicitEuler] = ReusedImplicitEuler()

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p, run = self.params, self.params.edited_steps
        return Cost.of(model, (evaluations(self.solver, run), p.inversion_guidance), (2 * run, p.guidance))

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, picture = self.params, request.previous
        geometry = picture.geometry
        source, target = backbone.embed(request.source_prompts), backbone.embed(request.target_prompts)
        start = backbone.embed([""] * len(request.seeds)) if p.null_source else source
        sigmas = backbone.sigmas(p.steps, geometry)[p.steps - p.edited_steps :]
        up = backbone.velocity_field(start, geometry, p.inversion_guidance)
        inversion = integrate(up, self.solver, picture.packed, inverted(sigmas), observers=observers)
        field = RegionGuidedField(
            backbone.velocity_field(source, geometry, p.guidance),
            backbone.velocity_field(target, geometry, p.guidance),
            p.omega,
        )
        sampling = integrate(field, Euler(), inversion.final, sigmas, observers=observers)
        return EditResult.of(geometry, sampling.final, field.mask)
