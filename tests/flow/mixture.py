"""A two-component Gaussian mixture, whose velocity field is known exactly.

Its paths bend, so it tells a right solver from a wrong one; a straight line or a single Gaussian does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mixture:
    """x0 ~ sum_k w_k N(m_k, s_k^2 I), e ~ N(0, I), x = (1 - sigma) x0 + sigma e.

    Given component k, x is Gaussian with mean (1 - sigma) m_k and variance V_k = (1 - sigma)^2 s_k^2 + sigma^2,
    and the velocity is the expectation of e - x0 given x:

        u_k(x) = -m_k + c_k (x - (1 - sigma) m_k),   c_k = (sigma - (1 - sigma) s_k^2) / V_k,
        v(x) = sum_k r_k(x) u_k(x),                  r_k ~ w_k N(x; (1 - sigma) m_k, V_k I).
    """

    means: Tensor
    deviations: tuple[float, float] = (0.5, 0.8)
    weights: tuple[float, float] = (0.4, 0.6)

    @staticmethod
    def of(dimensions: int) -> Mixture:
        line = torch.linspace(0.5, 1.5, dimensions, dtype=torch.float64)
        return Mixture(torch.stack([line, -0.7 * line.flip(0)]))

    def velocity(self, x: Tensor, sigma: float) -> Tensor:
        velocities, logits = [], []
        for mean, deviation, weight in zip(self.means, self.deviations, self.weights, strict=True):
            variance = (1 - sigma) ** 2 * deviation**2 + sigma**2
            slope = (sigma - (1 - sigma) * deviation**2) / variance
            offset = x - (1 - sigma) * mean
            velocities.append(-mean + slope * offset)
            log_density = -offset.square().sum(-1) / (2 * variance) - x.shape[-1] / 2 * math.log(variance)
            logits.append(math.log(weight) + log_density)
        shares = torch.stack(logits).softmax(0).unsqueeze(-1)
        return (shares * torch.stack(velocities)).sum(0)

    def samples(self, count: int, seed: int = 0) -> Tensor:
        """Points at sigma 0, (count, dimensions) float64."""
        generator = torch.Generator().manual_seed(seed)
        component = torch.arange(count) % 2
        noise = torch.randn(count, self.means.shape[1], generator=generator, dtype=torch.float64)
        deviations = torch.tensor(self.deviations, dtype=torch.float64)
        return self.means[component] + deviations[component].unsqueeze(1) * noise
