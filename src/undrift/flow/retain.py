"""A controller that leaves a known path only where the new velocity says so, and one that chains controllers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undrift.errors import InputError
from undrift.flow.control import Controller
from undrift.flow.step import Step

QUANTILE = 0.95
"""The velocity changes of a row are measured in units of this quantile of theirs."""


@dataclass(frozen=True)
class Retain:
    """v <- w v + (1 - w) v_path, with w a ramp of how much v differs from the path's own velocity.

    The path is a recorded trajectory, x_0 ... x_N in the order of the grid, so its velocity over step i is
    u_i = (x_{i+1} - x_i) / h and costs nothing (the source velocity of SteerFlow, arXiv 2604.01715). With
    d = rms over the channels of v - u_i, in units of the row's 95th percentile, w rises from 0 at ``low`` to 1 at
    ``high``, and v_path = (x_{i+1} - x) / h leads back onto the path: a token that always keeps w = 0 ends where
    the path ends, exactly.

    Attributes:
        path: N + 1 states (batch, tokens, channels).
        low, high: ends of the ramp.
        smooth: applied to d, (batch, tokens) -> (batch, tokens); None leaves it.
        region: (batch, tokens) in [0, 1], multiplies w; None leaves it.
    """

    path: Sequence[Tensor]
    low: float
    high: float
    smooth: Callable[[Tensor], Tensor] | None = None
    region: Tensor | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.low < self.high:
            raise InputError(f"the ramp goes from {self.low} to {self.high}, expected 0 <= low < high")

    def adjust(self, x: Tensor, velocity: Tensor, step: Step) -> Tensor:
        h = step.sigma_next - step.sigma
        here, there = self.path[step.index], self.path[step.index + 1]
        weight = self.weight(velocity - (there - here) / h)
        if self.region is not None:
            weight = weight * self.region
        return led_back(x, velocity, there, h, weight)

    def weight(self, difference: Tensor) -> Tensor:
        """w of a velocity difference (batch, tokens, channels): (batch, tokens) in [0, 1], 0 without difference."""
        size = difference.square().mean(-1).sqrt()
        if self.smooth is not None:
            size = self.smooth(size)
        unit = size.quantile(QUANTILE, dim=1, keepdim=True).clamp(min=torch.finfo(size.dtype).tiny)
        return ((size / unit - self.low) / (self.high - self.low)).clamp(0.0, 1.0)


@dataclass(frozen=True)
class Hold:
    """v <- w v + (1 - w) v_path with a given w: a token of weight 0 ends where the path ends.

    Attributes:
        path: N + 1 states (batch, tokens, channels) in the order of the grid.
        region: w, (batch, tokens) in [0, 1].
    """

    path: Sequence[Tensor]
    region: Tensor

    def adjust(self, x: Tensor, velocity: Tensor, step: Step) -> Tensor:
        h = step.sigma_next - step.sigma
        return led_back(x, velocity, self.path[step.index + 1], h, self.region)


def led_back(x: Tensor, velocity: Tensor, there: Tensor, h: float, weight: Tensor) -> Tensor:
    """w v + (1 - w) (there - x) / h, w (batch, tokens): where w is 0 the step of length h ends at ``there``."""
    w = weight.unsqueeze(-1)
    return w * velocity + (1.0 - w) * (there - x) / h


@dataclass(frozen=True)
class Chain:
    """Controllers one after another, each bending what the one before it left."""

    parts: tuple[Controller, ...]

    def adjust(self, x: Tensor, velocity: Tensor, step: Step) -> Tensor:
        for controller in self.parts:
            velocity = controller.adjust(x, velocity, step)
        return velocity
