"""Invert and sample with one solver, the values of late attention layers carried from one pass to the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from undrift.attention.inject import FeatureStore, InjectFeatures, Part, StoreFeatures
from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Latent
from undrift.flow import Observer, Solver, Trajectory, evaluations, integrate, inverted
from undrift.methods.base import EditMethod, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.needs import Need

VALUES: tuple[Part, ...] = ("value",)


class ValueSharingParams(Params):
    """Parameters of ``rf_solver``, ``fireflow`` and ``direct_edit``."""

    steps: int = Field(ge=1, le=1000, description="N, of inversion and of sampling")
    guidance: float = Field(2.0, ge=0, description="guidance while sampling the target prompt")
    inversion_guidance: float = Field(1.0, ge=0, description="guidance while inverting the source prompt")
    inject_steps: int = Field(ge=0, description="first sampling steps that use the values of the inversion")
    shared_blocks: int = Field(
        18, ge=0, description="the last n layers that can share values do (FLUX.1: 18 is single 20 to 37)"
    )
    memory_gb: float = Field(8.0, ge=0, description="values kept on the device; beyond it they wait in main memory")


class ValueSharing(EditMethod):
    """Invert with the source prompt, sample with the target prompt, share values in the noisiest intervals.

    An evaluation of the sampling finds the values of the inversion's evaluation of the same interval and the same
    stage (start or midpoint) and runs clean where there is none.
    """

    params: ValueSharingParams

    solver: ClassVar[Solver]

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p, calls = self.params, evaluations(self.solver, self.params.steps)
        of_an_evaluation = sum(model.feature_bytes(site, model.geometry(size)) for site in self.sites(model))
        stored = self.solver.evaluations_per_step * min(p.inject_steps, p.steps) * of_an_evaluation
        return Cost.of(model, (calls, p.inversion_guidance), (calls, p.guidance), feature_bytes=stored)

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, picture = self.params, request.previous
        keep, give = self.taps(backbone)
        up = inverted(backbone.sigmas(p.steps, picture.geometry))
        inversion = self._run(backbone, request.source_prompts, p.inversion_guidance, picture, up, keep, observers)
        noise = Latent(inversion.final, picture.geometry)
        sampling = self._run(backbone, request.target_prompts, p.guidance, noise, inverted(up), give, observers)
        return EditResult.of(picture.geometry, sampling.final)

    def taps(self, backbone: Backbone) -> tuple[Sequence[AttentionTap], Sequence[AttentionTap]]:
        """What keeps the values of an inversion, and what gives them to a sampling; none if none are shared."""
        p = self.params
        sites, intervals = self.sites(backbone), range(p.inject_steps)
        if not (sites and intervals):
            return (), ()
        store = FeatureStore(int(p.memory_gb * 1e9))
        # Where prompts differ in length, their tokens have no counterparts in each other.
        image_only = not backbone.capabilities.fixed_text
        keep = StoreFeatures(store, sites, VALUES, intervals, image_only)
        return (keep,), (InjectFeatures(store, sites, {"value": "replace"}, intervals, image_only),)

    def needs(self) -> tuple[Need, ...]:
        shares = self.params.inject_steps and self.params.shared_blocks
        return (Need("sharing_sites", "set inject_steps=0"),) if shares else ()

    def sites(self, model: Architecture) -> tuple[Site, ...]:
        """The last ``shared_blocks`` of the layers that share features."""
        sharing = model.capabilities.sharing_sites
        return sharing[max(0, len(sharing) - self.params.shared_blocks) :]

    def _run(
        self,
        backbone: Backbone,
        prompts: Sequence[str],
        guidance: float,
        start: Latent,
        sigmas: Tensor,
        taps: Sequence[AttentionTap],
        observers: Sequence[Observer],
    ) -> Trajectory:
        field = backbone.velocity_field(backbone.embed(prompts), start.geometry, guidance)
        with backbone.tapped(*taps):
            return integrate(field, self.solver, start.packed, sigmas, observers=observers)
