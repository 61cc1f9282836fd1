"""Keeping a known path: exact where nothing changes, out of the way where it does."""

from __future__ import annotations

import pytest
import torch

from tests.support.closeness import assert_rounded
from undrift.errors import InputError
from undrift.flow import Euler, ReusedMidpoint, integrate, inverted, shifted_sigmas
from undrift.flow.retain import Chain, Retain

SIGMAS = shifted_sigmas(6, 64)
OPERATIONS = 6 * 20
"""Six steps of some twenty roundings each."""


def recorded() -> tuple[torch.Tensor, ...]:
    x = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return integrate(lambda x, s: torch.sin(x) + s, ReusedMidpoint(), x, inverted(SIGMAS), record=True).states[::-1]


def test_an_unchanged_velocity_retraces_the_path_exactly() -> None:
    path = recorded()
    field = dict(zip(SIGMAS.tolist(), [(b - a) for a, b in zip(path, path[1:], strict=False)], strict=False))
    steps = dict(zip(SIGMAS.tolist(), SIGMAS.diff().tolist(), strict=False))
    end = integrate(lambda x, s: field[s] / steps[s], Euler(), path[0], SIGMAS, controller=Retain(path, 0.2, 0.6))
    assert_rounded(end.final, path[-1], OPERATIONS)


def test_tokens_left_alone_end_on_the_path_and_the_others_where_the_velocity_leads() -> None:
    path, changed = recorded(), torch.zeros(9, 1, dtype=torch.float64)
    changed[4:] = 5.0
    states = dict(zip(SIGMAS.tolist(), range(len(path)), strict=True))

    def field(x: torch.Tensor, sigma: float) -> torch.Tensor:
        i = states[sigma]
        velocity: torch.Tensor = (path[i + 1] - path[i]) / (SIGMAS[i + 1] - SIGMAS[i])
        return velocity + changed

    end = integrate(field, Euler(), path[0], SIGMAS, controller=Retain(path, 0.2, 0.6)).final
    assert_rounded(end[:, :4], path[-1][:, :4], OPERATIONS)
    assert_rounded(end[:, 4:], path[-1][:, 4:] - 5.0, OPERATIONS)


def test_the_weight_is_a_ramp_in_units_of_the_quantile() -> None:
    difference = torch.tensor([[[0.0], [0.2], [0.4], [0.6], *[[1.0]] * 16]])
    weight = Retain((), 0.2, 0.6).weight(difference)
    assert_rounded(weight[0, :5], torch.tensor([0.0, 0.0, 0.5, 1.0, 1.0]), 10)
    assert Retain((), 0.2, 0.6).weight(torch.zeros(1, 4, 2)).eq(0).all()


def test_chained_controllers_apply_in_order() -> None:
    path = recorded()
    free = Retain(path, 0.0, 1e-9)
    kept = Retain(path, 1e9, 2e9)

    def end(*controllers: Retain) -> torch.Tensor:
        return integrate(lambda x, s: x, Euler(), path[0], SIGMAS, controller=Chain(controllers)).final

    assert_rounded(end(free, kept), path[-1], OPERATIONS)
    assert torch.equal(end(), integrate(lambda x, s: x, Euler(), path[0], SIGMAS).final)


def test_a_ramp_that_does_not_rise_is_refused() -> None:
    with pytest.raises(InputError, match=r"from 0.6 to 0.2, expected 0 <= low < high"):
        Retain((), 0.6, 0.2)
