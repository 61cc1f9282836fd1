"""DirectEdit (arXiv 2605.02417): sampling asks from the inversion's own states, so that the way back is exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar

from torch import Tensor

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.flow import Euler, Follower, Observer, VelocityField, integrate, inverted
from undrift.flow.retain import Hold
from undrift.methods.base import Dial, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.value_sharing import ValueSharing, ValueSharingParams


class DisplacedField(Follower):
    """v(x + Z_{i+1} - Z_i, sigma_next): the velocity is asked where the inversion asked for it.

    Args:
        field: of the target prompt.
        path: the inversion's states Z_0 ... Z_N in the order of sampling, from the noise on.
    """

    def __init__(self, field: VelocityField, path: Sequence[Tensor]) -> None:
        self.parts = (field,)
        self._field, self._path = field, path

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        step = self.step
        # On the path this is Z_{i+1} to the bit.
        return self._field(self._path[step.index + 1] + (x - self._path[step.index]), step.sigma_next)


class DirectEdit(ValueSharing):
    """Euler up, and down by x <- x + h v(x + Z_{i+1} - Z_i, sigma_next): at one prompt each step undoes its own.

    In the noisiest ``inject_steps`` steps the single blocks attend with V <- V of the inversion. Tokens that must
    stay (``EditRequest.editable_tokens``) follow the inversion's states, blended in after every step:
    x <- m x + (1 - m) Z_{i+1}.

    Source: "DirectEdit", arXiv 2605.02417, sections on step-level exact inversion, on value sharing and on masked
    blending. The paper's masks come from a language model and a segmentation network, here from the turn's region.
    """

    name: ClassVar[str] = "direct_edit"
    title: ClassVar[str] = "DirectEdit"
    paper: ClassVar[str] = "DirectEdit, arXiv 2605.02417"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {"default": ValueSharingParams(steps=30, inject_steps=3, shared_blocks=38)}
    )
    dial: ClassVar[Dial] = MappingProxyType({"guidance": (4.5, 1.0), "inject_steps": (0, 10)})

    solver: ClassVar[Euler] = Euler()

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        return replace(super().cost(model, size), kept_states=self.params.steps + 1)

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, picture, region = self.params, request.previous, request.editable_tokens
        keep, give = self.taps(backbone)
        sigmas = backbone.sigmas(p.steps, picture.geometry)
        source, target = backbone.embed(request.source_prompts), backbone.embed(request.target_prompts)
        up = backbone.velocity_field(source, picture.geometry, p.inversion_guidance)
        with backbone.tapped(*keep):
            inversion = integrate(up, self.solver, picture.packed, inverted(sigmas), observers=observers, record=True)
        path = inversion.states[::-1]
        down = DisplacedField(backbone.velocity_field(target, picture.geometry, p.guidance), path)
        hold = None if region is None else Hold(path, region)
        with backbone.tapped(*give):
            sampling = integrate(down, self.solver, inversion.final, sigmas, controller=hold, observers=observers)
        return EditResult.of(picture.geometry, sampling.final)
