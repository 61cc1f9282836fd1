"""Stable Flow (arXiv 2411.14430): in the vital layers the edit reads the keys and values of the picture it edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from undrift.attention.inject import ShareRows
from undrift.attention.sites import Site
from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Conditioning
from undrift.errors import InputError
from undrift.flow import Euler, Follower, Observer, Trajectory, VelocityField, integrate, inverted
from undrift.flow.solvers import Carry
from undrift.methods.base import EditMethod, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.needs import Need


class StableFlowParams(Params):
    """Parameters of ``stable_flow``."""

    steps: int = Field(50, ge=1, le=1000, description="N, of inversion and of sampling")
    guidance: float = Field(3.0, ge=0, description="guidance of the edited row")
    source_guidance: float = Field(1.0, ge=0, description="guidance of the inversion and of the source row")
    nudge: float = Field(1.15, gt=0, description="factor on the latent before the inversion (latent nudging)")
    undo_nudge: bool = Field(True, description="divide the result by nudge, so that turns do not add up to glare")
    faithful_index: bool = Field(
        False, description="show the source row the stored latent that the released code does"
    )
    sites: tuple[str, ...] = Field(
        (), description="layers such as double.0 or single.9; none: the model's vital ones"
    )


@dataclass(frozen=True)
class LateEuler:
    """x + h v(x, sigma_next): Euler with the time of the interval's end, as Stable Flow inverts."""

    order: ClassVar[int] = 1
    evaluations_per_step: ClassVar[int] = 1

    def increment(
        self, field: VelocityField, x: Tensor, sigma: float, sigma_next: float, carry: Carry
    ) -> tuple[Tensor, Carry]:
        return field(x, sigma_next), None


class BesideSource(Follower):
    """A field evaluated in one batch with the inversion's state of the same step, the source row.

    Args:
        field: for twice the rows, sources first.
        states: the inversion's states, the picture first.
        faithful_index: the released code's choice of the state, two noise levels behind and the cleanest at step 1.
    """

    def __init__(self, field: VelocityField, states: Sequence[Tensor], faithful_index: bool) -> None:
        self.parts = (field,)
        self._field, self._states, self._faithful = field, states, faithful_index

    def source(self, index: int) -> Tensor:
        """The source row's state at sampling step ``index``; N is the row's end."""
        if not self._faithful or index == 0:
            return self._states[-1 - index]
        after_steps = self._states[1:]
        return after_steps[-(index - 1)]

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self._field(torch.cat([self.source(self.step.index), x]), sigma)[x.shape[0] :]


class StableFlow(EditMethod):
    """Source and edit run side by side; in the vital layers the edit attends to the source's image keys and values.

    x <- x + h v(x, sigma_next) up from the nudged picture, x <- x + h v(x, sigma) down, with K <- K_source and
    V <- V_source for the image tokens of the vital layers.

    Source: Avrahami et al. 2024, "Stable Flow: Vital Layers for Training-Free Image Editing", arXiv 2411.14430,
    section 3.2 (vital layers), 3.3 (injection) and 3.4 (inversion with latent nudging). A step costs one evaluation
    of two rows, a turn N + 2 N sample evaluations.
    """

    name: ClassVar[str] = "stable_flow"
    title: ClassVar[str] = "Stable Flow"
    paper: ClassVar[str] = "Stable Flow: Vital Layers for Training-Free Image Editing, arXiv 2411.14430"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {"default": StableFlowParams(), "faithful": StableFlowParams(undo_nudge=False, faithful_index=True)}
    )
    params: StableFlowParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p = self.params
        beside = p.steps, (p.source_guidance, p.guidance)
        return Cost.of(model, (p.steps, p.source_guidance), beside, kept_states=p.steps + 1)

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, geometry = self.params, request.previous.geometry
        inversion = self.invert(backbone, request, observers)
        prompts = [*request.source_prompts, *request.target_prompts]
        rows = len(request.seeds)
        guidance = [p.source_guidance] * rows + [p.guidance] * rows
        field = backbone.velocity_field(backbone.embed(prompts), geometry, guidance)
        paired = BesideSource(field, inversion.states, p.faithful_index)
        with backbone.tapped(ShareRows(self.layers(backbone), [*range(rows)] * 2)):
            sigmas = backbone.sigmas(p.steps, geometry)
            sampling = integrate(paired, Euler(), inversion.final, sigmas, observers=observers)
        final = sampling.final / p.nudge if p.undo_nudge else sampling.final
        return EditResult.of(geometry, final)

    def needs(self) -> tuple[Need, ...]:
        return () if self.params.sites else (Need("vital_sites", "name layers with the parameter sites"),)

    def check(self, backbone: Backbone) -> None:
        super().check(backbone)
        self.layers(backbone)

    def invert(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer] = ()) -> Trajectory:
        """Carry the nudged picture to the noise with the source prompt; every state is kept."""
        p, picture = self.params, request.previous
        source: Conditioning = backbone.embed(request.source_prompts)
        return integrate(
            backbone.velocity_field(source, picture.geometry, p.source_guidance),
            LateEuler(),
            picture.packed * p.nudge,
            inverted(backbone.sigmas(p.steps, picture.geometry)),
            observers=observers,
            record=True,
        )

    def layers(self, backbone: Backbone) -> tuple[Site, ...]:
        """The layers whose keys and values are shared.

        Raises:
            InputError: a layer that was named does not exist.
        """
        known = {str(site): site for site in backbone.sites}
        missing = [name for name in self.params.sites if name not in known]
        if missing:
            raise InputError(f"no layer '{missing[0]}', this model has {next(iter(known))} to {list(known)[-1]}")
        return tuple(known[name] for name in self.params.sites) or backbone.capabilities.vital_sites
