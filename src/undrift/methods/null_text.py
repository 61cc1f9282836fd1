"""Null-text inversion (arXiv 2211.09794): the empty prompt is optimised until guidance keeps to the inversion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Conditioning, Geometry
from undrift.backbones.noise_levels import variance_preserving
from undrift.backbones.placement import gradients
from undrift.errors import InputError
from undrift.flow import Euler, Follower, Observer, VelocityField, integrate, velocity_towards
from undrift.methods.base import EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.p2p import P2P, P2PParams, exchanged
from undrift.methods.pair import PerStep, inverted_picture, paired


class NullTextParams(P2PParams):
    """Parameters of ``null_text``."""

    inner_steps: int = Field(
        10, ge=0, description="steps of Adam per sampling step, each an evaluation and its gradient"
    )
    learning_rate: float = Field(1e-2, ge=0, description="of step i, times 1 - i / 100")
    stop_below: float = Field(1e-5, ge=0, description="step i ends early at a loss below this + 2e-5 i; 0 never does")


STOP_RISES = 2e-5
RATE_STEPS = 100.0


class Optimised(Follower):
    """The velocity of the source with guidance, whose negative prompt is fitted to a known path step by step.

    At step i it minimises |z*_{i+1} - z_{i+1}|^2 (mean over all values of a row) over what the negative conditioning
    consists of, with Adam, starting from what the step before ended with. z is the state as a diffusion model has it,
    of unit variance: z_{i+1} = c (x + h v) with c = 1 / sqrt((1 - sigma_{i+1})^2 + sigma_{i+1}^2) and
    v = v_negative + g (v_positive - v_negative). This is the paper's equation 3 in its own units, in which the losses
    that end a step early are given.

    Args:
        backbone: whose guidance takes two evaluations.
        prompts, empty: the positive and the first negative conditioning.
        geometry: of the latents.
        p: how.
        path: x*, N + 1 states in the order of the grid.
    """

    def __init__(
        self,
        backbone: Backbone,
        prompts: Conditioning,
        empty: Conditioning,
        geometry: Geometry,
        p: NullTextParams,
        path: Sequence[Tensor],
    ) -> None:
        self._backbone, self._geometry, self._p, self._path = backbone, geometry, p, path
        self._positive = backbone.velocity_field(prompts, geometry, 1.0)
        self.parts = (self._positive,)
        self._negative = empty
        self.fitted: list[Conditioning] = []
        """The negative conditioning of every step so far."""
        self.losses: list[list[Tensor]] = []
        """Per step the losses (rows,) in front of each inner step."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        wanted = velocity_towards(self._path[self.step.index + 1], x, self.step.sigma_next - sigma)
        positive = self._positive(x, sigma)
        self._negative = self._fit(x, sigma, positive, wanted)
        self.fitted.append(self._negative)
        negative = self._evaluated(x, sigma, self._negative)
        return self._guided(positive, negative)

    def _guided(self, positive: Tensor, negative: Tensor) -> Tensor:
        extra = torch.full((positive.shape[0], 1, 1), self._p.guidance - 1.0, device=positive.device)
        return self._backbone.guided(positive, negative, extra)

    def _evaluated(self, x: Tensor, sigma: float, negative: Conditioning) -> Tensor:
        guidance = (1.0,) * x.shape[0]
        inputs = self._backbone.network_inputs(negative, self._geometry, guidance)
        return self._backbone.evaluate(x, sigma, inputs, tapped=False)

    def _fit(self, x: Tensor, sigma: float, positive: Tensor, wanted: Tensor) -> Conditioning:
        p, index = self._p, self.step.index
        self.losses.append([])
        if p.inner_steps == 0:
            return self._negative
        # Clones, for tensors that inference made take no gradients.
        leaves = {name: t.clone().requires_grad_() for name, t in self._negative.tensors.items()}
        adam = torch.optim.Adam(list(leaves.values()), lr=p.learning_rate * max(0.0, 1.0 - index / RATE_STEPS))
        h = variance_preserving(self.step.sigma_next) * (self.step.sigma_next - sigma)
        enough, done = p.stop_below + STOP_RISES * index if p.stop_below else 0.0, torch.zeros(x.shape[0]) > 0
        for _ in range(p.inner_steps):
            with gradients():
                negative = self._evaluated(x, sigma, replace(self._negative, tensors=leaves))
                error = h * (self._guided(positive, negative) - wanted)
                losses = error.square().flatten(1).mean(1)
                slopes = torch.autograd.grad(losses.sum(), list(leaves.values()), allow_unused=True)
            self.losses[-1].append(losses.detach())
            before = {name: leaf.detach().clone() for name, leaf in leaves.items()}
            for leaf, slope in zip(leaves.values(), slopes, strict=True):
                leaf.grad = slope
            adam.step()
            with torch.no_grad():
                for name, leaf in leaves.items():
                    leaf[done] = before[name][done]
            # Each row as if it were alone: it stops behind the step whose loss was low enough.
            done = done | (losses.detach().cpu() < enough)
            if bool(done.all()):
                break
        return replace(self._negative, tensors={name: leaf.detach() for name, leaf in leaves.items()})


class NullText(P2P):
    """Invert at guidance 1, then fit an empty prompt per step so that guidance samples the picture again; edit by
    p2p.

    empty_t <- argmin |z*_{t-1} - z_{t-1}(empty, prompt, guidance)|^2, then Prompt-to-Prompt with
    these empty prompts in both branches.

    Source: Mokady et al. 2022, "Null-text Inversion for Editing Real Images using Guided Diffusion Models",
    arXiv 2211.09794, section 3.2, algorithm 1. A turn costs at most N evaluations of the inversion, N (inner_steps +
    2) of the fit with N inner_steps gradients, and 2 N of two rows of the edit; stopping early makes it less.
    """

    name: ClassVar[str] = "null_text"
    title: ClassVar[str] = "Null-text inversion with Prompt-to-Prompt"
    paper: ClassVar[str] = "Null-text Inversion for Editing Real Images, arXiv 2211.09794"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType({"default": NullTextParams()})
    params: NullTextParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p, guided = self.params, (self.params.guidance,) * 2
        # Without a negative evaluation there is nothing to fit, see ``check``.
        extra = model.capabilities.calls_per_velocity(p.guidance) - 1
        inner = p.steps * p.inner_steps * extra
        fit = (p.steps + p.steps * extra + inner, 1.0)
        cost = Cost.of(model, (p.steps, p.inversion_guidance), fit, (p.steps, guided), kept_states=p.steps + 1)
        return replace(cost, backward_passes=inner)

    def check(self, backbone: Backbone) -> None:
        """Raises InputError where guidance has no negative prompt that could be fitted."""
        super().check(backbone)
        if backbone.capabilities.guidance != "two_evaluations":
            raise InputError(
                f"method '{self.name}' fits the empty prompt of guidance by two evaluations, and"
                f" {backbone.identity.name} has none: use ddim or pnp_inversion there"
            )
        if self.params.guidance == 1.0:
            raise InputError("null_text at guidance 1 has no empty prompt to fit: give it more, or use p2p")

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, geometry = self.params, request.previous.geometry
        fitted, noise = self.fit(backbone, request, observers)
        prompts = paired(backbone, request, request.source_prompts)
        twice = [*range(len(request.seeds))] * 2
        fields: list[VelocityField] = [
            backbone.velocity_field(prompts, geometry, p.guidance, negative.take(twice)) for negative in fitted
        ]
        return exchanged(p, backbone, request, prompts, PerStep(fields), noise, observers)

    def fit(
        self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer] = ()
    ) -> tuple[list[Conditioning], Tensor]:
        """The empty prompt of every step, and the inverted noise."""
        p, geometry = self.params, request.previous.geometry
        source = request.source_prompts
        inversion = inverted_picture(backbone, request, source, p.steps, p.inversion_guidance, observers, record=True)
        empty = backbone.embed([""] * len(source))
        field = Optimised(backbone, backbone.embed(source), empty, geometry, p, inversion.states[::-1])
        integrate(field, Euler(), inversion.final, backbone.sigmas(p.steps, geometry), observers=observers)
        return field.fitted, inversion.final
