"""The velocity of a backbone's prompts, with guidance by a second evaluation where the model does it that way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from undrift.backbones.geometry import Geometry, check_tokens
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
        self._extra = torch.tensor([value - 1.0 for value in guidance], dtype=torch.float32).reshape(-1, 1, 1)
        self._positive = backbone.network_inputs(conditioning, geometry, guidance)
        self._negative = None if negative is None else backbone.network_inputs(negative, geometry, guidance)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        check_tokens(x, self._geometry)
        if x.shape[0] != self._rows:
            raise InputError(f"{x.shape[0]} latents for {self._rows} prompts, expected one prompt per latent")
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
