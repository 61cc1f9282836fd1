"""A turn without its prompt: a method is run as it is, and what it asks of the network that no prompt decides is
computed and remembered.

What depends on the unknown prompt is answered by not-a-number, which arithmetic hands on by itself. So a state of
numbers does not depend on the prompt, whatever the method did to it, and its velocity can be computed now; of any
other state nothing is computed. No method needs to know, or says twice what it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import torch
from PIL import Image
from torch import Tensor

from undrift.backbones.around import Around
from undrift.backbones.base import Backbone, Conditioning, Geometry, Latent, NetworkInputs
from undrift.backbones.conditioning import NOWHERE
from undrift.backbones.velocity import BackboneField
from undrift.flow import VelocityField

UNKNOWN = "\N{WHITE QUESTION MARK ORNAMENT}"
"""Stands for the prompt that nobody knows yet."""


class RehearsalOver(Exception):
    """What is asked now depends on what nobody knows yet, and so does everything after it."""


class Rehearsal(Around):
    """A backbone of which ``UNKNOWN`` may be asked.

    Velocities are computed and remembered in the ``memory`` of the backbone inside, up to half of it, so that the
    turn itself does not push out what it still needs; without one nothing is.

    Args:
        backbone: computes.
        known: a prompt whose embedding stands in for that of ``UNKNOWN``, so that none has to be made for it.
    """

    def __init__(self, backbone: Backbone, known: str) -> None:
        super().__init__(backbone)
        self._known = known
        self._left = 0 if backbone.memory is None else backbone.memory.budget // 2

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        made = self._inner.embed([self._known if prompt == UNKNOWN else prompt for prompt in prompts])
        rows = zip(prompts, made.tokens, strict=True)
        tokens = (
            replace(row, prompt=UNKNOWN, spans=(NOWHERE,) * len(row.spans)) if prompt == UNKNOWN else row
            for prompt, row in rows
        )
        return replace(made, tokens=tuple(tokens))

    def velocity_field(
        self,
        conditioning: Conditioning,
        geometry: Geometry,
        guidance: float | Sequence[float],
        negative: Conditioning | None = None,
    ) -> VelocityField:
        rows = (*conditioning.tokens, *(() if negative is None else negative.tokens))
        if any(row.prompt == UNKNOWN for row in rows):
            return _unknown
        field = self._inner.velocity_field(conditioning, geometry, guidance, negative)
        return _Rehearsed(self, field)

    def allow(self, x: Tensor) -> None:
        """Take note that a velocity of ``x`` is going to be remembered.

        Raises:
            RehearsalOver: there is no room for it.
        """
        self._left -= x.numel() * torch.float32.itemsize
        if self._left < 0:
            raise RehearsalOver("what may be remembered is full")

    def encode(self, images: Sequence[Image.Image]) -> NoReturn:
        raise RehearsalOver("pictures are made of what nobody knows yet")

    def decode(self, latent: Latent) -> NoReturn:
        raise RehearsalOver("pictures are made of what nobody knows yet")

    def evaluate(self, x: Tensor, sigma: float, inputs: NetworkInputs, *, tapped: bool = True) -> NoReturn:
        raise RehearsalOver("an evaluation of no velocity field is not remembered")

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> NoReturn:
        raise RehearsalOver("an evaluation of no velocity field is not remembered")


class _Rehearsed:
    """A velocity field of known prompts, which answers what can be known and remembered."""

    def __init__(self, rehearsal: Rehearsal, field: VelocityField) -> None:
        self.parts = (field,)
        self._rehearsal, self._field = rehearsal, field

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        of_prompts = isinstance(self._field, BackboneField) and self._field.repeatable
        if not of_prompts or x.requires_grad or bool(x.isnan().any()):
            return _unknown(x, sigma)
        self._rehearsal.allow(x)
        return self._field(x, sigma)


def _unknown(x: Tensor, sigma: float) -> Tensor:
    return torch.full_like(x, float("nan"), dtype=torch.float32)
