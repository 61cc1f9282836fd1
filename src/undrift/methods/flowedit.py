"""FlowEdit (arXiv 2412.08629): straight from picture to picture, without inversion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.flow import Euler, Follower, Observer, VelocityField, integrate, interpolate
from undrift.methods import sparse
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, Params, seeded_noise
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.needs import Need

NoiseSource = Callable[[int], Tensor]
"""Fresh noise number i of a turn, shape of the latent."""


class FlowEditParams(Params):
    """Parameters of ``flowedit``, named as in the paper."""

    steps: int = Field(28, ge=1, le=1000, description="T, the length of the schedule")
    n_max: int = Field(24, ge=1, description="the last n_max steps of the schedule are run")
    n_min: int = Field(0, ge=0, description="the last n_min of them sample the target prompt alone")
    n_avg: int = Field(1, ge=1, description="noises averaged per step; a step costs 2 n_avg evaluations")
    source_guidance: float = Field(1.5, ge=0, description="guidance of the source prompt")
    guidance: float = Field(5.5, ge=0, description="guidance of the target prompt")
    sparse: bool = Field(False, description=sparse.DESCRIPTION)

    @model_validator(mode="after")
    def _counts_fit(self) -> Self:
        if not self.n_min <= self.n_max <= self.steps:
            raise ValueError(f"need n_min <= n_max <= steps, got {self.n_min}, {self.n_max}, {self.steps}")
        return self


class FlowEditField(Follower):
    """dz/dsigma = mean over noises of v(z + q - x, target) - v(q, source), q = (1 - sigma) x + sigma e.

    Times ``region``, (batch, tokens), where one is given: a token of 0 stays the picture's.
    """

    def __init__(
        self,
        source: VelocityField,
        target: VelocityField,
        image: Tensor,
        noise: NoiseSource,
        n_avg: int,
        region: Tensor | None = None,
    ) -> None:
        self.parts = (source, target)
        self._region = region
        self._source, self._target, self._image, self._noise, self._n_avg = source, target, image, noise, n_avg

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        first = self.step.index * self._n_avg
        draws = [self._noise(first + k) for k in range(self._n_avg)]
        mean = torch.stack([self._difference(x, noise, sigma) for noise in draws]).mean(0)
        return mean if self._region is None else mean * self._region.unsqueeze(-1)

    def _difference(self, x: Tensor, noise: Tensor, sigma: float) -> Tensor:
        noised = interpolate(self._image, noise, sigma)
        source = self._source(noised, sigma)
        return self._target(x + noised - self._image, sigma) - source


class FlowEdit(EditMethod):
    """The difference of target and source velocity at equally noised states drives the picture itself.

    dz/dsigma = v(z + q - x, target) - v(q, source), q = (1 - sigma) x + sigma e, the equation of ``FlowEditField``.

    Source: Kulikov et al. 2024, "FlowEdit: Inversion-Free Text-Based Editing Using Pre-Trained Flow Models",
    arXiv 2412.08629, algorithm 1; n_min > 0 ends with plain sampling of the target.
    """

    name: ClassVar[str] = "flowedit"
    title: ClassVar[str] = "FlowEdit"
    paper: ClassVar[str] = "FlowEdit: Inversion-Free Text-Based Editing, arXiv 2412.08629"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType({"default": FlowEditParams()})
    dial: ClassVar[Dial] = MappingProxyType({"n_max": (26, 14)})
    params: FlowEditParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p = self.params
        coupled = p.n_avg * (p.n_max - p.n_min)
        kept = sparse.kept_bytes(model, size) if p.sparse else 0
        return Cost.of(model, (coupled, p.source_guidance), (coupled + p.n_min, p.guidance), feature_bytes=kept)

    def needs(self) -> tuple[Need, ...]:
        return (sparse.NEED,) if self.params.sparse else ()

    def draws_noise(self) -> bool:
        return True

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, image, geometry = self.params, request.previous.packed, request.previous.geometry
        prompts, guidance = (request.source_prompts, request.target_prompts), (p.source_guidance, p.guidance)
        region = request.editable_tokens
        sigmas = backbone.sigmas(p.steps, geometry)[p.steps - p.n_max :]
        coupled, plain = sigmas[: p.n_max - p.n_min + 1], sigmas[p.n_max - p.n_min :]

        def noise(number: int) -> Tensor:
            return seeded_noise(request.seeds, image, stream=number)

        edited = image
        if len(coupled) > 1:
            reach = region if p.sparse else None
            with sparse.source_and_target(backbone, prompts, geometry, guidance, reach) as (up, down):
                field = FlowEditField(up, down, image, noise, p.n_avg, region)
                edited = integrate(field, Euler(), image, coupled, observers=observers).final
        if len(plain) > 1:
            fresh = noise((p.n_max - p.n_min) * p.n_avg)
            start = edited + interpolate(image, fresh, float(plain[0])) - image
            target = backbone.velocity_field(backbone.embed(request.target_prompts), geometry, p.guidance)
            edited = integrate(target, Euler(), start, plain, observers=observers).final
        return EditResult.of(geometry, edited)
