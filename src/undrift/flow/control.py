"""Controllers: they bend the velocity of a step towards where the trajectory should end.

LQR guidance (Rout et al. 2024, arXiv 2410.10792; dual objective: arXiv 2505.04320, Proposition 1). The optimal
control of dx = v + u towards one quadratic end cost blends the velocity with the one that leads to the anchor:
v <- v + gain (v_anchor - v), v_anchor = (anchor - x) / (sigma_anchor - sigma).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor

from undrift.errors import InputError
from undrift.flow.step import Step
from undrift.flow.velocity import velocity_towards

ControlTime = Callable[[Step], float]
"""Remaining sigma (positive) that the control formula divides by."""

Gain = float | Tensor


class Controller(Protocol):
    """Bends the velocity of one step."""

    def adjust(self, x: Tensor, velocity: Tensor, step: Step) -> Tensor:
        """The velocity to take instead of ``velocity`` at state ``x``."""
        ...


def flow_time(step: Step) -> float:
    """The textbook choice: the sigma that really remains, 1 - sigma while inverting, sigma while sampling."""
    return 1.0 - step.sigma if step.inverting else step.sigma


def index_time(step: Step) -> float:
    """1 - i/N, as if the grid were equidistant: what the paper's released code uses while sampling."""
    return 1.0 - step.index / step.count


def late_midpoint_time(step: Step) -> float:
    """1 - sigma + h/2: what the paper's released code uses while inverting (the true midpoint has - h/2)."""
    return 1.0 - step.sigma + (step.sigma_next - step.sigma) / 2.0


CONTROL_TIMES: Mapping[str, ControlTime] = MappingProxyType(
    {"sigma": flow_time, "index": index_time, "late_midpoint": late_midpoint_time}
)


def combine_anchors(anchors: Sequence[Tensor], weights: Sequence[Gain]) -> Tensor:
    """The one anchor that stands for several: sum_i w_i anchor_i / sum_i w_i.

    Several quadratic objectives sum_i w_i |x - anchor_i|^2 differ from (sum_i w_i) |x - mean|^2 only by a
    constant, so controlling towards all of them is controlling towards their weighted mean
    (arXiv 2505.04320, Proposition 1). Two anchors with weights 1 - lambda and lambda give
    X_0 + lambda (X_{k-1} - X_0).

    Args:
        anchors: tensors of one shape (batch, tokens, channels).
        weights: one per anchor, a number or a tensor that broadcasts, (batch, tokens, 1) for a weight per token.

    Raises:
        InputError: no anchors, counts that differ, or weights that are negative or sum to zero somewhere.
    """
    if not anchors or len(anchors) != len(weights):
        raise InputError(f"need one weight per anchor, got {len(anchors)} anchors and {len(weights)} weights")
    tensors = [torch.as_tensor(w, dtype=anchors[0].dtype, device=anchors[0].device) for w in weights]
    total = reduce(torch.add, tensors)
    if any(bool((w < 0).any()) for w in tensors) or bool((total <= 0).any()):
        raise InputError("anchor weights must not be negative and must not all be zero at any token")
    return reduce(torch.add, (w * a for w, a in zip(tensors, anchors, strict=True))) / total


@dataclass(frozen=True)
class LQR:
    """v <- v + gain_i (v_anchor - v) with v_anchor leading straight to ``anchor``.

    At gain 1 and the ``flow_time`` the last step of a grid lands on the anchor exactly.

    Attributes:
        anchor: where to end, shape of the state: noise while inverting (sigma 1), an image while sampling.
        gains: gain of step i; steps beyond its length are not controlled. A gain is a number or a tensor that
            broadcasts to the state, (batch, tokens, 1) for one per token.
        time: the remaining sigma that the formula divides by.
    """

    anchor: Tensor
    gains: tuple[Gain, ...]
    time: ControlTime = flow_time

    def adjust(self, x: Tensor, velocity: Tensor, step: Step) -> Tensor:
        if step.index >= len(self.gains):
            return velocity
        gain = self.gains[step.index]
        if isinstance(gain, float | int) and gain == 0:
            return velocity
        remaining = self.time(step) if step.inverting else -self.time(step)
        return velocity + gain * (velocity_towards(self.anchor, x, remaining) - velocity)
