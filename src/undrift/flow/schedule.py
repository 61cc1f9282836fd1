"""Grids of sigma. Read downwards (1 to 0) a grid samples, flipped it inverts: the direction is the grid's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from undrift.errors import InputError


def shift_sigmas(sigmas: Tensor, mu: float) -> Tensor:
    """s(sigma) = e^mu / (e^mu + 1/sigma - 1): moves a grid towards the noise for mu > 0.

    Source: Esser et al. 2024 (arXiv 2403.03206), section 5.3.2, as FLUX.1 uses it. 0 and 1 are kept.

    Args:
        sigmas: any shape, values in [0, 1].
        mu: log of the ratio between the shifted and the unshifted odds sigma / (1 - sigma).
    """
    shifted = math.exp(mu) * sigmas
    return shifted / (shifted + (1.0 - sigmas))


@dataclass(frozen=True)
class ResolutionShift:
    """mu as a line in the number of image tokens, extrapolated outside its two points.

    FLUX.1-dev: (256 tokens, 0.5) and (4096 tokens, 1.15).
    """

    base_tokens: int = 256
    base_mu: float = 0.5
    max_tokens: int = 4096
    max_mu: float = 1.15

    def mu(self, tokens: int) -> float:
        """mu for ``tokens`` packed image tokens."""
        slope = (self.max_mu - self.base_mu) / (self.max_tokens - self.base_tokens)
        return self.base_mu + slope * (tokens - self.base_tokens)


def linear_sigmas(steps: int) -> Tensor:
    """``steps`` + 1 equidistant sigmas from 1 to 0, float64.

    Raises:
        InputError: ``steps`` < 1.
    """
    if steps < 1:
        raise InputError(f"steps is {steps}, expected at least 1")
    return torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)


def shifted_sigmas(steps: int, tokens: int, shift: ResolutionShift | None = None) -> Tensor:
    """``steps`` + 1 sigmas from 1 to 0 with FLUX's resolution shift, float64, strictly falling."""
    return shift_sigmas(linear_sigmas(steps), (shift or ResolutionShift()).mu(tokens))


def inverted(sigmas: Tensor) -> Tensor:
    """The same grid in the other direction."""
    return sigmas.flip(0)
