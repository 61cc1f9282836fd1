from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from tests.flow.mixture import Mixture
from tests.support.closeness import assert_rounded
from undrift.flow import (
    Euler,
    Heun,
    LateNoise,
    Midpoint,
    ReusedImplicitEuler,
    ReusedMidpoint,
    Solver,
    evaluations,
    integrate,
    inverted,
    linear_sigmas,
    shifted_sigmas,
)

SOLVERS: list[Solver] = [Euler(), Midpoint(), Heun(), ReusedMidpoint(), ReusedImplicitEuler()]
MIXTURE = Mixture.of(3)


def grid(steps: int, rising: bool) -> Tensor:
    """From 0.9 to 0.1, where every derivative of the velocity is bounded, or back."""
    sigmas = 0.1 + 0.8 * linear_sigmas(steps)
    return inverted(sigmas) if rising else sigmas


def start(rising: bool) -> Tensor:
    return MIXTURE.samples(16) if rising else torch.randn(16, 3, generator=torch.Generator().manual_seed(1)).double()


@cache
def exact_end(rising: bool) -> Tensor:
    """The classical fourth-order Runge-Kutta method on a grid so fine that its error is below 1e-12."""
    x, sigmas = start(rising), grid(1500, rising).tolist()
    for sigma, sigma_next in zip(sigmas, sigmas[1:], strict=False):
        h = sigma_next - sigma
        k1 = MIXTURE.velocity(x, sigma)
        k2 = MIXTURE.velocity(x + h / 2 * k1, sigma + h / 2)
        k3 = MIXTURE.velocity(x + h / 2 * k2, sigma + h / 2)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + MIXTURE.velocity(x + h * k3, sigma_next))
    return x


def error(solver: Solver, steps: int, rising: bool) -> float:
    end = integrate(MIXTURE.velocity, solver, start(rising), grid(steps, rising)).final
    return float((end - exact_end(rising)).square().mean().sqrt())


def test_mixture_velocity_is_the_expected_one() -> None:
    """E[e - x0 | x] by importance sampling over the prior of x0."""
    sigma, x = 0.6, torch.tensor([0.2, -0.1, 0.3], dtype=torch.float64)
    mixture = Mixture(MIXTURE.means, weights=(0.5, 0.5))
    x0 = mixture.samples(400_000)
    noise = (x - (1 - sigma) * x0) / sigma
    weights = (-noise.square().sum(-1) / 2).softmax(0)
    estimate = (weights.unsqueeze(-1) * (noise - x0)).sum(0)
    error = (weights.unsqueeze(-1) * (noise - x0 - estimate)).square().sum(0).sqrt()
    assert error.max() < 0.01
    assert ((mixture.velocity(x, sigma) - estimate).abs() < 4 * error).all(), "more than four standard errors away"


@pytest.mark.parametrize("rising", [False, True], ids=["sampling", "inversion"])
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
def test_measured_order(solver: Solver, rising: bool) -> None:
    order = math.log2(error(solver, 128, rising) / error(solver, 256, rising))
    # The error's next term, of one order more, is not quite gone at these steps.
    assert order == pytest.approx(solver.order, abs=0.15)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
def test_round_trip_shrinks_with_the_order(solver: Solver) -> None:
    x = MIXTURE.samples(16)

    def gap(steps: int) -> float:
        sigmas = 0.1 + 0.8 * shifted_sigmas(steps, 1024)
        noise = integrate(MIXTURE.velocity, solver, x, inverted(sigmas)).final
        back = integrate(MIXTURE.velocity, solver, noise, sigmas).final
        return float((back - x).square().mean().sqrt())

    assert gap(96) < gap(48) / 2 ** (solver.order - 0.3)


@pytest.mark.parametrize(("solver", "expected"), [*zip(SOLVERS, [8, 16, 16, 9, 9], strict=True)])
def test_evaluations_are_those_announced(solver: Solver, expected: int) -> None:
    calls = []

    def field(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        return -x

    run = integrate(field, solver, torch.ones(1), linear_sigmas(8))
    assert len(calls) == run.calls == evaluations(solver, 8) == expected


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
def test_a_straight_flow_is_exact(solver: Solver) -> None:
    image, noise = torch.randn(2, 4, 3, dtype=torch.float64)
    end = integrate(lambda x, sigma: noise - image, solver, noise, shifted_sigmas(5, 256)).final
    assert_rounded(end, image, 5 * 10)


def test_reused_midpoint_reuses_the_midpoint_velocity() -> None:
    asked: list[tuple[float, float]] = []

    def field(x: Tensor, sigma: float) -> Tensor:
        asked.append((x.item(), sigma))
        return torch.full_like(x, float(len(asked)))

    integrate(field, ReusedMidpoint(), torch.zeros(1, dtype=torch.float64), linear_sigmas(2))
    # Half steps of -1/4 with velocity 1, then with 2, the velocity of the first midpoint.
    assert asked == [(0.0, 1.0), (-0.25, 0.75), (-1.0 - 0.5, 0.25)]


def test_ddim_s_inversion_is_of_first_order() -> None:
    order = math.log2(error(LateNoise(), 128, rising=True) / error(LateNoise(), 256, rising=True))
    # The error's next term, of one order more, is not quite gone at these steps.
    assert order == pytest.approx(LateNoise.order, abs=0.15)
