"""RF-Inversion (arXiv 2410.10792): inversion controlled towards noise, sampling controlled towards the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.flow import (
    CONTROL_TIMES,
    LQR,
    Euler,
    Follower,
    Observer,
    Step,
    Trajectory,
    VelocityField,
    combine_anchors,
    integrate,
    inverted,
)
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, Params, seeded_noise
from undrift.methods.cost import REFERENCE_SIZE, Cost


class RFInversionParams(Params):
    """Parameters of ``rf_inversion``."""

    steps: int = Field(28, ge=1, le=1000, description="N; a turn costs 2 N evaluations")
    guidance: float = Field(3.5, ge=0, description="guidance while sampling the target prompt")
    inversion_guidance: float = Field(0.0, ge=0, description="guidance while inverting")
    null_source: bool = Field(True, description="invert with an empty prompt instead of the source prompt")
    inversion_gain: float = Field(0.5, ge=0, le=1, description="pull towards seeded noise (gamma)")
    mirrored: bool = Field(
        True, description="invert on 1 - schedule at the times i/(N+1), as the public pipeline does"
    )
    gain: float = Field(0.9, ge=0, le=1, description="pull towards the picture while sampling (eta)")
    start: float = Field(0.0, ge=0, le=1, description="controlled steps begin at this fraction of the steps")
    stop: float = Field(0.25, ge=0, le=1, description="controlled steps end before this fraction of the steps")
    control_time: Literal["sigma", "index"] = Field("sigma", description="remaining sigma the sampling divides by")
    previous_weight: float = Field(1.0, ge=0, le=1, description="anchor = X_0 + weight (X_{k-1} - X_0)")


class UniformTime(Follower):
    """A field evaluated at i/(N+1) in step i, whatever sigma the grid is at."""

    def __init__(self, field: VelocityField) -> None:
        self.parts = (field,)
        self._field = field

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self._field(x, 1.0 - uniform_remaining(self.step))


def uniform_remaining(step: Step) -> float:
    """1 - i/(N+1): the control time that goes with ``UniformTime``."""
    return 1.0 - step.index / (step.count + 1)


class RFInversion(EditMethod):
    """Euler both ways under LQR control: v <- v + gamma (v_noise - v) up, v <- v + eta (v_picture - v) down.

    Source: Rout et al. 2024, "Semantic Image Inversion and Editing using Rectified Stochastic Differential
    Equations", arXiv 2410.10792, equations 8 (inversion) and 15 (editing). Preset ``default`` computes what the
    pipeline in diffusers does, whose inversion steps over 1 - schedule while it feeds the network i/(N+1);
    ``paper`` inverts on the sampling grid; ``mtc`` is the variant compared with in arXiv 2505.04320.
    """

    name: ClassVar[str] = "rf_inversion"
    title: ClassVar[str] = "RF-Inversion"
    paper: ClassVar[str] = "Semantic Image Inversion and Editing using Rectified SDEs, arXiv 2410.10792"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {
            "default": RFInversionParams(),
            "paper": RFInversionParams(mirrored=False),
            "mtc": RFInversionParams(
                steps=15,
                inversion_guidance=1.0,
                null_source=False,
                mirrored=False,
                stop=0.35,
                control_time="index",
                previous_weight=0.7,
            ),
        }
    )
    dial: ClassVar[Dial] = MappingProxyType({"stop": (0.1, 0.5)})
    params: RFInversionParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p = self.params
        return Cost.of(model, (p.steps, p.inversion_guidance), (p.steps, p.guidance))

    def draws_noise(self) -> bool:
        return self.params.inversion_gain > 0

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        inversion = self.invert(backbone, request, observers)
        sampling = self.sample(backbone, request, inversion.final, observers)
        return EditResult.of(request.previous.geometry, sampling.final)

    def invert(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer] = ()) -> Trajectory:
        """Carry the previous result towards seeded noise (equation 8)."""
        p, picture = self.params, request.previous
        prompts = [""] * len(request.seeds) if p.null_source else request.source_prompts
        field = backbone.velocity_field(backbone.embed(prompts), picture.geometry, p.inversion_guidance)
        sigmas = backbone.sigmas(p.steps, picture.geometry)
        noise = seeded_noise(request.seeds, picture.packed)
        gains = (p.inversion_gain,) * p.steps
        if not p.mirrored:
            control = LQR(noise, gains)
            return integrate(
                field, Euler(), picture.packed, inverted(sigmas), controller=control, observers=observers
            )
        clocked, control = UniformTime(field), LQR(noise, gains, uniform_remaining)
        return integrate(clocked, Euler(), picture.packed, 1.0 - sigmas, controller=control, observers=observers)

    def sample(
        self, backbone: Backbone, request: EditRequest, start: Tensor, observers: Sequence[Observer] = ()
    ) -> Trajectory:
        """Sample the target prompt, pulled towards the picture in the controlled steps (equation 15)."""
        p, picture = self.params, request.previous
        weights = [1.0 - p.previous_weight, p.previous_weight]
        anchor = combine_anchors([request.original.packed, picture.packed], weights)
        first, last = int(p.start * p.steps), int(p.stop * p.steps)
        gains = (0.0,) * first + (p.gain,) * (last - first)
        return integrate(
            backbone.velocity_field(backbone.embed(request.target_prompts), picture.geometry, p.guidance),
            Euler(),
            start,
            backbone.sigmas(p.steps, picture.geometry),
            controller=LQR(anchor, gains, CONTROL_TIMES[p.control_time]),
            observers=observers,
        )
