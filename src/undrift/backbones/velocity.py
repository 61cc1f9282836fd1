"""The velocity of a backbone's prompts, with guidance by a second evaluation where the model does it that way."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from undrift.backbones.geometry import Geometry, check_tokens
from undrift.backbones.memory import Key, VelocityMemory, digest, prompts_digest
from undrift.errors import InputError

if TYPE_CHECKING:
    from undrift.backbones.base import Backbone
    from undrift.backbones.conditioning import Conditioning


class BackboneField:
    """A model bound to prompts, a geometry and guidance values.

    v = v_positive + (g - 1) (v_positive - v_negative) per row where guidance g takes two evaluations
    (classifier-free guidance: Ho and Salimans 2022, arXiv 2207.12598, equation 6 with w = g - 1); rows of g = 1 are
    the positive branch to the bit; a family may combine the two otherwise (``Backbone.guided``). Without
    ``negative``, v is one evaluation.

    Attention taps see the positive branch alone: the prompt that they know is that one's.

    A model with a ``memory`` is asked nothing twice, unless an attention tap is at work (not ``idle``). An answer
    from there is the same bits, is counted as if it had been computed, and is announced to the taps.
    """

    def __init__(
        self,
        backbone: Backbone,
        conditioning: Conditioning,
        geometry: Geometry,
        guidance: Sequence[float],
        negative: Conditioning | None = None,
    ) -> None:
        self._backbone = backbone
        self._geometry = geometry
        self._rows = len(guidance)
        self._guidance = tuple(guidance)
        self._prompts = tuple(given for given in (conditioning, negative) if given is not None)
        self._extra = torch.tensor([value - 1.0 for value in guidance], dtype=torch.float32).reshape(-1, 1, 1)
        self._positive = backbone.network_inputs(conditioning, geometry, guidance)
        self._negative = None if negative is None else backbone.network_inputs(negative, geometry, guidance)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        check_tokens(x, self._geometry)
        if x.shape[0] != self._rows:
            raise InputError(f"{x.shape[0]} latents for {self._rows} prompts, expected one prompt per latent")
        memory = self._backbone.memory
        if memory is None or x.requires_grad or not self.repeatable:
            return self._computed(x, sigma)
        return self._remembered(memory, x, sigma)

    @property
    def repeatable(self) -> bool:
        """Whether the next velocity depends on the state, sigma, prompts and guidance alone, and on no gradient."""
        idle = all(tap.idle for tap in self._backbone.taps)
        return idle and self._backbone.repeatable and not self._wants_gradients

    def _remembered(self, memory: VelocityMemory, x: Tensor, sigma: float) -> Tensor:
        key = (*self._question, digest(x), float(sigma))
        found = memory.get(key)
        if found is None:
            velocity = self._computed(x, sigma)
            memory.put(key, velocity)
            return velocity
        for tap in self._backbone.taps:
            tap.evaluation(sigma)
        self._backbone.counter.add(x.shape[0], len(self._prompts), tokens=x.shape[1], remembered=True)
        return found.to(x.device, copy=True)

    @cached_property
    def _question(self) -> Key:
        return (*map(prompts_digest, self._prompts), self._geometry, self._guidance)

    @cached_property
    def _wants_gradients(self) -> bool:
        return any(tensor.requires_grad for prompts in self._prompts for tensor in prompts.tensors.values())

    def _computed(self, x: Tensor, sigma: float) -> Tensor:
        positive = self._backbone.evaluate(x, sigma, self._positive)
        if self._negative is None:
            return positive
        negative = self._backbone.evaluate(x, sigma, self._negative, tapped=False)
        return self._backbone.guided(positive, negative, self._extra.to(positive.device))


def guidance_values(guidance: float | Sequence[float], rows: int) -> tuple[float, ...]:
    """One guidance value per row.

    Raises:
        InputError: as many values as there are no rows.
    """
    values = tuple(map(float, guidance)) if isinstance(guidance, Sequence) else (float(guidance),) * rows
    if len(values) != rows:
        raise InputError(f"{len(values)} guidance values for {rows} prompts, expected one value or one per prompt")
    return values
