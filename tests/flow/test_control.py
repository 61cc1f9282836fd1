from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.flow.mixture import Mixture
from tests.support.closeness import assert_rounded, printed
from undrift.errors import InputError
from undrift.flow import (
    CONTROL_TIMES,
    LQR,
    Euler,
    Heun,
    Midpoint,
    ReusedMidpoint,
    Solver,
    Step,
    combine_anchors,
    integrate,
    inverted,
    linear_sigmas,
    shifted_sigmas,
)

SHAPE = (2, 6, 3)
MIXTURE = Mixture.of(3)
SOLVERS: list[Solver] = [Euler(), Midpoint(), Heun(), ReusedMidpoint()]
gains_ = st.floats(0, 1)


def tensor(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*(shape or SHAPE), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("sigmas", [shifted_sigmas(7, 1024), inverted(shifted_sigmas(7, 1024))], ids=["down", "up"])
def test_full_gain_lands_on_the_anchor(solver: Solver, sigmas: Tensor) -> None:
    """Whatever the gains before: the last controlled step at gain 1 ends at the anchor."""
    anchor = tensor(1)
    controller = LQR(anchor, (0.0, 0.9, 0.3, 0.0, 0.5, 0.1, 1.0))
    end = integrate(MIXTURE.velocity, solver, tensor(0), sigmas, controller=controller).final
    assert_rounded(end, anchor, 100)


@pytest.mark.parametrize("sigmas", [linear_sigmas(5), inverted(linear_sigmas(5))], ids=["down", "up"])
def test_full_gain_runs_straight_to_the_anchor(sigmas: Tensor) -> None:
    start, anchor = tensor(0), tensor(1)
    controller = LQR(anchor, (1.0,) * 5)
    states = integrate(MIXTURE.velocity, Euler(), start, sigmas, controller=controller, record=True).states
    for index, state in enumerate(states):
        assert_rounded(state, start + index / 5 * (anchor - start), 50)


def test_the_fraction_of_the_way_that_the_first_steps_go() -> None:
    """Gain .9 for 3 of 15 steps at 1024 tokens and velocity 0: 1 - prod(1 - .9 h / sigma) of the way."""
    sigmas = shifted_sigmas(15, 1024)
    controller = LQR(torch.ones(SHAPE).double(), (0.9,) * 3)
    end = integrate(lambda x, s: 0 * x, Euler(), torch.zeros(SHAPE).double(), sigmas, controller=controller).final
    left = 1.0
    for sigma, sigma_next in zip(sigmas[:3].tolist(), sigmas[1:4].tolist(), strict=True):
        left *= 1 - 0.9 * (sigma - sigma_next) / sigma
    assert_rounded(end, torch.full(SHAPE, 1 - left, dtype=torch.float64), 20, size=1.0)
    assert 1 - left == pytest.approx(0.106, abs=printed("0.106"))


def test_zero_gain_changes_no_bit() -> None:
    sigmas = shifted_sigmas(6, 64)
    free = integrate(MIXTURE.velocity, ReusedMidpoint(), tensor(0), sigmas).final
    for gains in ((), (0.0,) * 6):
        controlled = integrate(
            MIXTURE.velocity, ReusedMidpoint(), tensor(0), sigmas, controller=LQR(tensor(1), gains)
        ).final
        assert torch.equal(controlled, free)


def test_the_reused_velocity_is_the_uncontrolled_one() -> None:
    asked: list[float] = []

    def field(x: Tensor, sigma: float) -> Tensor:
        asked.append(x.item())
        return torch.full_like(x, 2.0)

    start = torch.zeros(1, dtype=torch.float64)
    integrate(field, ReusedMidpoint(), start, linear_sigmas(2), controller=LQR(torch.ones(1), (1.0,)))
    # The first step moves half way to the anchor 1; the second half step, -1/4, still uses velocity 2.
    assert asked[-1] == pytest.approx(0.5 - 0.25 * 2.0)


def test_a_gain_per_token_controls_each_token_alone() -> None:
    gain = torch.tensor([0.0, 0.25, 1.0, 0.0, 0.5, 0.9]).double()[None, :, None]
    sigmas = shifted_sigmas(5, 64)
    together = integrate(MIXTURE.velocity, Euler(), tensor(0), sigmas, controller=LQR(tensor(1), (gain,) * 5)).final
    for token, value in enumerate(gain.flatten().tolist()):
        alone = integrate(MIXTURE.velocity, Euler(), tensor(0), sigmas, controller=LQR(tensor(1), (value,) * 5)).final
        assert_rounded(together[:, token], alone[:, token], 50)


def lqr_velocity(x: Tensor, velocity: Tensor, anchors: list[Tensor], weights: list[Tensor], gain: float) -> Tensor:
    """Minimises the blended objective of one step numerically, objective by objective.

    J(u) = (1 - gain) |u - v|^2 + gain sum_i w_i |u - v_i|^2 / sum_i w_i, v_i = (anchor_i - x) / remaining.
    Its Hessian is 2 I, so one Newton step from anywhere is the minimiser; the gradient is autograd's.
    """
    u = torch.zeros_like(x, requires_grad=True)
    total = sum(weights, start=torch.zeros(()))
    objective = (1 - gain) * (u - velocity).square().sum()
    for anchor, weight in zip(anchors, weights, strict=True):
        objective = objective + gain * (weight / total * (u - (anchor - x) / -0.6).square()).sum()
    (gradient,) = torch.autograd.grad(objective, u)
    return u.detach() - gradient / 2


@given(gain=gains_, weights=st.lists(st.floats(0.05, 3), min_size=1, max_size=4), per_token=st.booleans())
def test_proposition_1_several_objectives_are_one(gain: float, weights: list[float], per_token: bool) -> None:
    x, velocity = tensor(0), tensor(1)
    anchors = [tensor(10 + i) for i in range(len(weights))]
    tensors = [torch.tensor(w).double() for w in weights]
    if per_token:
        tensors = [w * (1 + tensor(20 + i, 2, 6, 1).abs()) for i, w in enumerate(tensors)]
    step = Step(index=0, count=5, sigma=0.6, sigma_next=0.5)
    combined = LQR(combine_anchors(anchors, tensors), (gain,)).adjust(x, velocity, step)
    assert_rounded(combined, lqr_velocity(x, velocity, anchors, tensors, gain), 50)


def test_the_objectives_differ_by_a_constant_only() -> None:
    """sum_i w_i |x - a_i|^2 - (sum_i w_i) |x - mean|^2 is the same at every x."""
    anchors, weights = [tensor(1), tensor(2), tensor(3)], [0.2, 1.3, 0.5]
    mean = combine_anchors(anchors, weights)

    def difference(x: Tensor) -> Tensor:
        each = sum(w * (x - a).square().sum() for w, a in zip(weights, anchors, strict=True))
        return each - sum(weights) * (x - mean).square().sum()

    far = 10 * tensor(5)
    assert_rounded(difference(far), difference(tensor(4)), far.numel(), size=float(2 * far.square().sum()))


@given(st.floats(0, 1))
def test_two_anchors_are_the_papers_blend(weight: float) -> None:
    first, previous = tensor(1), tensor(2)
    blend = combine_anchors([first, previous], [1 - weight, weight])
    assert_rounded(blend, first + weight * (previous - first), 10)


def test_weights_per_token_choose_the_anchor_per_token() -> None:
    first, second = tensor(1), tensor(2)
    mask = torch.tensor([1.0, 0, 1, 0, 0, 1]).double()[None, :, None]
    blend = combine_anchors([first, second], [mask, 1 - mask])
    chosen = mask.flatten() > 0
    assert torch.equal(blend[:, chosen], first[:, chosen])
    assert torch.equal(blend[:, ~chosen], second[:, ~chosen])


def test_control_times() -> None:
    down = Step(index=3, count=15, sigma=0.8, sigma_next=0.7)
    up = Step(index=3, count=15, sigma=0.2, sigma_next=0.3)
    assert CONTROL_TIMES["sigma"](down) == pytest.approx(0.8)
    assert CONTROL_TIMES["sigma"](up) == pytest.approx(0.8)
    assert CONTROL_TIMES["index"](down) == pytest.approx(0.8)
    assert CONTROL_TIMES["late_midpoint"](up) == pytest.approx(1 - 0.2 + 0.05)


def test_a_float32_run_follows_the_float64_one() -> None:
    sigmas = shifted_sigmas(15, 1024)
    wide, narrow = (
        integrate(
            lambda x, s: MIXTURE.velocity(x.double(), s),
            ReusedMidpoint(),
            tensor(0).to(dtype),
            sigmas,
            controller=LQR(tensor(1).to(dtype), (0.9,) * 4),
        ).final
        for dtype in (torch.float64, torch.float32)
    )
    assert_rounded(narrow.double(), wide, 15 * 10, dtype=torch.float32)


@pytest.mark.parametrize(
    ("count", "weights", "message"),
    [
        (0, [], "need one weight per anchor, got 0 anchors and 0 weights"),
        (2, [1.0], "need one weight per anchor, got 2 anchors and 1 weights"),
        (2, [1.5, -0.5], "must not be negative and must not all be zero"),
        (2, [0.0, 0.0], "must not be negative and must not all be zero"),
    ],
)
def test_anchors_and_weights_that_do_not_fit(count: int, weights: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        combine_anchors([tensor(i) for i in range(count)], weights)
