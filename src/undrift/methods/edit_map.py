"""Where the words act: a map over the tokens from what two prompts make of one picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from undrift.backbones.base import Geometry
from undrift.flow import Observer, StepEnd

ONE_CLASS = 0.8
"""From this ratio of the two means on, the tokens are of one class: Otsu's halves of noise about one value."""


CHANGED = 0.15
"""A token has changed from this share of the change on that the most changed tenth of the tokens begins with."""


class EditMap(Observer):
    """E = |sum of h dV over the steps of a pass|, per token: vectors are summed, then measured.

    Source: DecFlowEdit, arXiv 2609.34237: noise of single steps cancels in the sum, what the words ask for adds up.

    Attributes:
        total: the sum so far, (batch, tokens, channels).
    """

    def __init__(self) -> None:
        self.total: Tensor | float = 0.0

    def end(self, event: StepEnd) -> None:
        step = event.step
        self.total = self.total + (step.sigma_next - step.sigma) * event.velocity

    def weights(self, edge: float, softness: float) -> Tensor:
        """Soft map (batch, tokens) in [0, 1]: sigmoid((E - low - edge (high - low)) / (softness (high - low))).

        low and high are the means of the two classes into which Otsu's threshold (1979) parts the tokens. It is 1
        everywhere where they are hardly two, low > 0.8 high: all tokens change alike.

        Args:
            edge: where between the two means the map is 1/2: below 0.5 it takes in what changes less than the rest.
            softness: width of the edge, in the distance of the means.
        """
        size = torch.linalg.vector_norm(torch.as_tensor(self.total), dim=-1)
        return torch.stack([_soft(row, edge, softness) for row in size])


def changed_tokens(before: Tensor, after: Tensor, geometry: Geometry) -> Tensor:
    """The tokens that differ by more than ``CHANGED`` of the 90 % quantile, and their neighbours: 1, others 0.

    Args:
        before, after: packed latents (batch, tokens, channels).
        geometry: of both.

    Returns:
        (batch, tokens); nothing of equal latents has changed.
    """
    size = torch.linalg.vector_norm(after - before, dim=-1)
    found = (size > CHANGED * size.quantile(0.9, dim=1, keepdim=True)).float()
    grid = found.view(-1, 1, geometry.rows, geometry.columns)
    return functional.max_pool2d(grid, 3, 1, 1).flatten(1)


def otsu_means(values: Tensor) -> tuple[float, float]:
    """The means of the two classes, below and above a threshold, between which the variance is largest.

    Args:
        values: (n,), n >= 2.
    """
    ordered = values.cpu().double().sort().values  # Apple's GPUs have no float64
    count, sums = len(ordered), ordered.cumsum(0)
    below = torch.arange(1, count, dtype=torch.float64)
    low, high = sums[:-1] / below, (sums[-1] - sums[:-1]) / (count - below)
    best = int((below * (count - below) * (high - low).square()).argmax())
    return float(low[best]), float(high[best])


def _soft(values: Tensor, edge: float, softness: float) -> Tensor:
    if len(values) < 2:
        return torch.ones_like(values)
    low, high = otsu_means(values)
    if low > ONE_CLASS * high:
        return torch.ones_like(values)
    apart = max(high - low, 1e-12)
    return torch.sigmoid((values - low - edge * apart) / (softness * apart))
