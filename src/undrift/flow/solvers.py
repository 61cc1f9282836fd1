"""Solvers: the velocity that carries x from sigma to sigma_next. They never add it; ``integrate`` does.

A solver is frozen and declares its order and its cost. What it must remember between two steps travels
through ``carry``, so one solver object may serve any number of trajectories at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from undrift.flow.velocity import VelocityField, noise_from_velocity, velocity_towards

Carry = Tensor | None


class Solver(Protocol):
    """One step of an ODE method for dx/dsigma = v(x, sigma).

    Attributes:
        order: global order of convergence, measured by the tests in both directions.
        evaluations_per_step: calls of the field for each step after the first.
    """

    order: ClassVar[int]
    evaluations_per_step: ClassVar[int]

    def increment(
        self, field: VelocityField, x: Tensor, sigma: float, sigma_next: float, carry: Carry
    ) -> tuple[Tensor, Carry]:
        """The effective velocity of the step and what to carry to the next (``carry`` is None at the first)."""
        ...


def evaluations(solver: Solver, steps: int) -> int:
    """Calls of the field that ``steps`` steps cost, without running them."""
    return solver.evaluations_per_step * steps + getattr(solver, "extra_first_evaluations", 0)


@dataclass(frozen=True)
class Euler:
    """x + h v(x, sigma)."""

    order: ClassVar[int] = 1
    evaluations_per_step: ClassVar[int] = 1

    def increment(
        self, field: VelocityField, x: Tensor, sigma: float, sigma_next: float, carry: Carry
    ) -> tuple[Tensor, Carry]:
        return field(x, sigma), None


@dataclass(frozen=True)
class Midpoint:
    """x + h v(x + h/2 v(x, sigma), sigma + h/2).

    RF-Solver (Wang et al. 2024, arXiv 2411.04746) is this method: its second-order Taylor term, with the
    derivative taken as a difference quotient over the half step, cancels the first-order one.
    """

    order: ClassVar[int] = 2
    evaluations_per_step: ClassVar[int] = 2

    def increment(
        self, field: VelocityField, x: Tensor, sigma: float, sigma_next: float, carry: Carry
    ) -> tuple[Tensor, Carry]:
        half = (sigma_next - sigma) / 2.0
        return field(x + half * field(x, sigma), sigma + half), None


@dataclass(frozen=True)
class Heun:
    """x + h/2 (v(x, sigma) + v(x + h v(x, sigma), sigma_next))."""

    order: ClassVar[int] = 2
    evaluations_per_step: ClassVar[int] = 2

    def increment(
        self, field: VelocityField, x: Tensor, sigma: float, sigma_next: float, carry: Carry
    ) -> tuple[Tensor, Carry]:
        first = field(x, sigma)
        second = field(x + (sigma_next - sigma) * first, sigma_next)
        return (first + second) / 2.0, None


@dataclass(frozen=True)
class ReusedMidpoint:
    """Midpoint whose half step uses the previous step's midpoint velocity: N steps cost N + 1 evaluations.

    x_mid = x + h/2 w;  v = v(x_mid, sigma + h/2);  x + h v;  w <- v.  The first step takes w = v(x, sigma).
    Source: FireFlow (Deng et al. 2024, arXiv 2412.07517), section 3; used by arXiv 2505.04320 for both passes.
    """

    order: ClassVar[int] = 2
    evaluations_per_step: ClassVar[int] = 1
    extra_first_evaluations: ClassVar[int] = 1

    def increment(
        self, field: VelocityField, x: Tensor, sigma: float, sigma_next: float, carry: Carry
    ) -> tuple[Tensor, Carry]:
        half = (sigma_next - sigma) / 2.0
        previous = field(x, sigma) if carry is None else carry
        velocity = field(x + half * previous, sigma + half)
        return velocity, velocity


@dataclass(frozen=True)
class ReusedImplicitEuler:
    """Implicit Euler x + h v(x_next, sigma_next), its x_next predicted with the previous step's velocity.

    x_next ~ x + h w;  v = v(x_next, sigma_next);  x + h v;  w <- v.  The first step takes w = v(x, sigma).
    Euler steps back along the same grid undo implicit steps, so an inversion done with it is reconstructed far
    better than its order suggests. Source: Uni-Inv (Jiao et al. 2025, arXiv 2504.13109), section 3; with the
    name amortized fixed point in SteerFlow (Dao et al. 2026, arXiv 2604.01715).
    """

    order: ClassVar[int] = 1
    evaluations_per_step: ClassVar[int] = 1
    extra_first_evaluations: ClassVar[int] = 1

    def increment(
        self, field: VelocityField, x: Tensor, sigma: float, sigma_next: float, carry: Carry
    ) -> tuple[Tensor, Carry]:
        previous = field(x, sigma) if carry is None else carry
        velocity = field(x + (sigma_next - sigma) * previous, sigma_next)
        return velocity, velocity


@dataclass(frozen=True)
class LateNoise:
    """DDIM's inversion: the noise that the network sees at the end of the step, at the state of its beginning.

    e = noise of v(y, sigma_next), y = x scaled to the variance of sigma_next;  x + h (e - x) / (1 - sigma).  For
    rising grids. Along the path of a diffusion network this is term by term z_next = sqrt(a_next) x0 + sqrt(1 -
    a_next) e with x0 and e from eps(z, t_next) (Song et al. 2021, arXiv 2010.02502, section 4.3, as every DDIM
    inversion evaluates it).
    """

    order: ClassVar[int] = 1
    evaluations_per_step: ClassVar[int] = 1

    def increment(
        self, field: VelocityField, x: Tensor, sigma: float, sigma_next: float, carry: Carry
    ) -> tuple[Tensor, Carry]:
        y = x * (math.hypot(1.0 - sigma_next, sigma_next) / math.hypot(1.0 - sigma, sigma))
        noise = noise_from_velocity(y, field(y, sigma_next), sigma_next)
        return velocity_towards(noise, x, 1.0 - sigma), None
