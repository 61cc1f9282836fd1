from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.support.closeness import assert_rounded
from undrift.errors import Cancelled, InputError
from undrift.flow import Euler, Observer, ReusedMidpoint, Step, StepEnd, integrate, inverted, linear_sigmas


def decay(x: Tensor, sigma: float) -> Tensor:
    return -x


class Recorder(Observer):
    def __init__(self, stop_at: int = 1000) -> None:
        self.began: list[Step] = []
        self.ended: list[StepEnd] = []
        self._stop_at = stop_at

    def begin(self, step: Step) -> None:
        self.began.append(step)

    def end(self, event: StepEnd) -> None:
        self.ended.append(event)
        if event.step.index == self._stop_at:
            raise Cancelled("stopped by the user")


def test_observers_see_every_step_and_the_states() -> None:
    recorder = Recorder()
    run = integrate(decay, ReusedMidpoint(), torch.ones(2), linear_sigmas(4), observers=[recorder], record=True)
    assert [(s.index, s.count, s.sigma, s.sigma_next) for s in recorder.began] == [
        (0, 4, 1.0, 0.75),
        (1, 4, 0.75, 0.5),
        (2, 4, 0.5, 0.25),
        (3, 4, 0.25, 0.0),
    ]
    assert run.calls == 5
    assert len(run.states) == 5
    assert all(torch.equal(event.x, state) for event, state in zip(recorder.ended, run.states[1:], strict=True))
    assert torch.equal(run.states[-1], run.final)


def test_states_are_recorded_only_on_request() -> None:
    assert integrate(decay, Euler(), torch.ones(2), linear_sigmas(4)).states == ()


def test_intervals_match_between_inversion_and_sampling() -> None:
    down, up = Recorder(), Recorder()
    integrate(decay, Euler(), torch.ones(1), linear_sigmas(3), observers=[down])
    integrate(decay, Euler(), torch.ones(1), inverted(linear_sigmas(3)), observers=[up])
    assert not any(step.inverting for step in down.began)
    assert all(step.inverting for step in up.began)
    sampled = {step.interval: {step.sigma, step.sigma_next} for step in down.began}
    inverted_ = {step.interval: {step.sigma, step.sigma_next} for step in up.began}
    assert sampled == inverted_


def test_cancelling_ends_at_once() -> None:
    calls = []

    def field(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        return -x

    with pytest.raises(Cancelled, match="stopped by the user"):
        integrate(field, Euler(), torch.ones(1), linear_sigmas(8), observers=[Recorder(stop_at=2)])
    assert len(calls) == 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_state_is_float32_whatever_the_network_computes_in(dtype: torch.dtype) -> None:
    """1000 steps of 1e-3 lose most of their length if they are summed in half precision."""
    seen: set[torch.dtype] = set()

    def field(x: Tensor, sigma: float) -> Tensor:
        seen.add(x.dtype)
        return torch.full_like(x, -1.0).to(dtype)

    end = integrate(field, ReusedMidpoint(), torch.full((4,), 2.0, dtype=dtype), linear_sigmas(1000)).final
    assert end.dtype == torch.float32
    assert seen == {torch.float32}
    assert_rounded(end, torch.full((4,), 3.0), 1000)


def test_half_precision_velocities_are_widened_before_they_are_scaled() -> None:
    velocity = torch.tensor([1.00390625]).bfloat16().float()
    run = integrate(lambda x, s: velocity.bfloat16(), Euler(), torch.zeros(1), torch.tensor([0.0, 1 / 3]).double())
    assert_rounded(run.final, velocity / 3, 3)


def test_a_float64_start_stays_float64() -> None:
    assert integrate(decay, Euler(), torch.ones(1).double(), linear_sigmas(2)).final.dtype == torch.float64


def test_the_image_estimate_of_a_straight_flow_is_the_image() -> None:
    image, noise = torch.randn(2, 5, dtype=torch.float64)
    recorder = Recorder()
    integrate(lambda x, s: noise - image, Euler(), noise, linear_sigmas(4), observers=[recorder])
    for event in recorder.ended:
        assert_rounded(event.image_estimate, image, 20)


@pytest.mark.parametrize("sigmas", [[1.0], [], [1.0, 0.5, 0.5, 0.0], [0.0, 1.0, 0.5], [1.0, float("nan"), 0.0]])
def test_grids_that_are_not_monotone_are_refused(sigmas: list[float]) -> None:
    with pytest.raises(InputError, match="sigmas must be at least two strictly rising or falling numbers, got"):
        integrate(decay, Euler(), torch.ones(1), torch.tensor(sigmas))
