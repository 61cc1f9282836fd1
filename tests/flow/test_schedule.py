from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.closeness import assert_rounded, rounding
from undrift.errors import InputError
from undrift.flow import ResolutionShift, inverted, linear_sigmas, shift_sigmas, shifted_sigmas

GOLDEN = Path(__file__).parents[1] / "golden" / "mtc.npz"

steps_ = st.integers(1, 200)
tokens_ = st.integers(1, 16384)
mu_ = st.floats(-4, 4)


@pytest.mark.parametrize("steps", [8, 15, 28])
@pytest.mark.parametrize("tokens", [64, 1024])
def test_golden_schedules(steps: int, tokens: int) -> None:
    golden = torch.from_numpy(np.load(GOLDEN)[f"sigmas_{steps}_n{tokens}"]).double()
    assert_rounded(shifted_sigmas(steps, tokens), golden, 10, dtype=torch.float32)  # what recorded it


def test_flux_schedule_as_diffusers_prints_it() -> None:
    expected = [1, 0.9293, 0.8492, 0.7578, 0.6525, 0.5298, 0.3849, 0.2115, 0]
    assert [round(s, 4) for s in shifted_sigmas(8, 1024).tolist()] == expected


@given(steps_, tokens_)
def test_schedules_fall_strictly_between_exact_ends(steps: int, tokens: int) -> None:
    sigmas = shifted_sigmas(steps, tokens)
    assert sigmas.shape == (steps + 1,)
    assert sigmas[0].item() == 1.0
    assert sigmas[-1].item() == 0.0
    assert bool((sigmas.diff() < 0).all())


@given(steps_, tokens_)
def test_inverting_a_schedule_twice_gives_it_back(steps: int, tokens: int) -> None:
    sigmas = shifted_sigmas(steps, tokens)
    assert bool((inverted(sigmas).diff() > 0).all())
    assert torch.equal(inverted(inverted(sigmas)), sigmas)


@given(steps_, mu_)
def test_the_shift_by_minus_mu_is_the_inverse(steps: int, mu: float) -> None:
    sigmas = linear_sigmas(steps)
    # Near 1 the shift squeezes by exp(|mu|), so that its inverse enlarges what was rounded.
    assert_rounded(shift_sigmas(shift_sigmas(sigmas, mu), -mu), sigmas, 10, size=math.exp(4))


@given(st.floats(0.01, 0.99), mu_)
def test_the_shift_adds_mu_to_the_log_odds(sigma: float, mu: float) -> None:
    shifted = shift_sigmas(torch.tensor(sigma, dtype=torch.float64), mu).item()
    # At most 100 exp(4) is what 1 / (1 - shifted) enlarges roundings by.
    slack = rounding(10, 100 * math.exp(4), torch.float64)
    assert math.log(shifted / (1 - shifted)) == pytest.approx(math.log(sigma / (1 - sigma)) + mu, abs=slack)


@given(tokens_, tokens_)
def test_mu_is_the_line_through_flux_points(a: int, b: int) -> None:
    shift = ResolutionShift()
    assert shift.mu(256) == pytest.approx(0.5)
    assert shift.mu(4096) == pytest.approx(1.15)
    assert shift.mu(a) - shift.mu(b) == pytest.approx((a - b) * 0.65 / 3840, abs=rounding(10, 4.0, torch.float64))


def test_without_shift_the_grid_is_equidistant() -> None:
    assert_rounded(shift_sigmas(linear_sigmas(4), 0.0), torch.tensor([1, 0.75, 0.5, 0.25, 0]).double(), 10)


@pytest.mark.parametrize("steps", [0, -3])
def test_no_steps_are_refused(steps: int) -> None:
    with pytest.raises(InputError, match=f"steps is {steps}, expected at least 1"):
        shifted_sigmas(steps, 256)
