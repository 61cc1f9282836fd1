"""A diffusion model's noise levels as sigmas of a straight path.

A diffusion network sees z = sqrt(abar) x0 + sqrt(1 - abar) e. Divided by sqrt(abar) + sqrt(1 - abar) this is a point
x = (1 - sigma) x0 + sigma e of the straight path, with

    sigma / (1 - sigma) = sqrt(1 - abar) / sqrt(abar),        z = x / sqrt((1 - sigma)^2 + sigma^2).

A predicted noise e is the velocity (e - x) / (1 - sigma), and Euler's step along it is, term by term, the step of
DDIM (Song et al. 2021, arXiv 2010.02502, equation 12 with sigma_t = 0). The last of Stable Diffusion's 1000 levels is
at sigma 0.936, where the noise does not hide the picture quite: the velocity is finite everywhere on its path.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from undrift.errors import InputError

SCHEDULE = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "rescale_betas_zero_snr",
)
"""What of a scheduler's configuration makes the levels; the rest says how to sample."""


class NoiseLevels:
    """The levels that a network was trained on.

    Args:
        spreads: sqrt(1 - abar) / sqrt(abar) of the timesteps 0, 1, ..., float64, rising and finite.
    """

    def __init__(self, spreads: Tensor) -> None:
        self._spreads = spreads
        self._logarithms = spreads.log()

    @classmethod
    def of(cls, scheduler: Mapping[str, Any]) -> NoiseLevels:
        """Of a diffusers scheduler's configuration, whatever scheduler it is."""
        from diffusers import DDIMScheduler

        given = {name: scheduler[name] for name in SCHEDULE if name in scheduler}
        kept = DDIMScheduler(**given).alphas_cumprod.double()
        # With a terminal signal of zero the last level is noise alone, which no step of a sampler visits.
        return cls(((1.0 - kept) / kept).sqrt()[kept > 0])

    @property
    def last(self) -> float:
        """Sigma of the noisiest level."""
        return self.sigma(len(self._spreads) - 1)

    def sigma(self, timestep: int) -> float:
        """Sigma of a timestep."""
        spread = float(self._spreads[timestep])
        return spread / (1.0 + spread)

    def timestep(self, sigma: float) -> float:
        """The timestep of a sigma, between two of them linear in log(sigma / (1 - sigma)); the nearest one
        outside."""
        wanted = torch.tensor(sigma / (1.0 - sigma) if sigma < 1.0 else math.inf, dtype=torch.float64).log()
        above = int(torch.searchsorted(self._logarithms, wanted))
        if above == 0 or above == len(self._logarithms):
            return float(max(0, above - 1))
        low, high = self._logarithms[above - 1], self._logarithms[above]
        return above - 1 + float((wanted - low) / (high - low))

    def sampling(self, steps: int) -> Tensor:
        """The grid of DDIM with ``steps`` evaluations: (steps + 1,) from its noisiest timestep down to the picture.

        The timesteps are k floor(T / steps), the spacing that diffusers calls "leading", without an offset; behind
        the cleanest comes sigma 0 (``set_alpha_to_one``).

        Raises:
            InputError: more steps than levels, or none.
        """
        levels = len(self._spreads)
        if not 1 <= steps <= levels:
            raise InputError(f"steps is {steps}, expected 1 to {levels}: the model knows so many noise levels")
        stride = levels // steps
        visited = [self.sigma(index * stride) for index in range(steps)]
        return torch.tensor([0.0, *visited], dtype=torch.float64).flip(0)


def variance_preserving(sigma: float) -> float:
    """What a point of the straight path is multiplied by to have unit variance where picture and noise have."""
    return 1.0 / math.hypot(1.0 - sigma, sigma)
