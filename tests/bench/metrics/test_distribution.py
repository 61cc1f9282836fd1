"""Frechet and kernel distance against the textbook formula, closed forms and a bound."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.bench.metrics.outcomes import PhotoCase, noise, played, right, shuffled, single, untouched
from undrift.bench.metrics.base import SetMetric
from undrift.bench.metrics.distribution import frechet, kernel_distance
from undrift.bench.metrics.registry import get

LITTLE = ("fid-littleworld-original", "fid-littleworld-previous", "kid-littleworld-original")


def textbook(x: Tensor, y: Tensor) -> float:
    """The formula as it is written, with a matrix root from an eigendecomposition."""
    means = (x.mean(0) - y.mean(0)).square().sum()
    a, b = torch.cov(x.mT), torch.cov(y.mT)
    values, vectors = torch.linalg.eigh(a)
    half = vectors * values.clamp(min=0).sqrt() @ vectors.mT
    root = torch.linalg.eigvalsh(half @ b @ half).clamp(min=0).sqrt().sum()
    return float(means + a.trace() + b.trace() - 2 * root)


def drawn(seed: int, count: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator, dtype=torch.float64)
    return torch.randn(count, width, generator=generator, dtype=torch.float64) @ mixing + 1


@pytest.mark.parametrize(
    ("first", "second", "width"), [(50, 50, 6), (50, 30, 6), (5, 5, 12), (7, 40, 12), (40, 7, 12)]
)
def test_frechet_is_the_textbook_formula(first: int, second: int, width: int) -> None:
    x, y = drawn(0, first, width), drawn(1, second, width)
    assert frechet(x, y) == pytest.approx(textbook(x, y))


def test_frechet_of_one_dimension_in_closed_form() -> None:
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[5.0], [11.0]])
    assert frechet(x, y) == pytest.approx((8 - 1) ** 2 + (18**0.5 - 2**0.5) ** 2)


@given(count=st.integers(2, 12), width=st.integers(1, 20), seed=st.integers(0, 10**6), noisy=st.floats(0, 3))
def test_paired_sets_stay_below_gelbrichs_bound(count: int, width: int, seed: int, noisy: float) -> None:
    x = drawn(seed, count, width)
    y = x + noisy * drawn(seed + 1, count, width)
    bound = count / (count - 1) * float((x - y).square().sum(1).mean())
    assert 0 <= frechet(x, y) <= bound * (1 + 1e-9) + 1e-6  # roots of rounded zeros


def test_a_shift_of_all_costs_its_square_and_nothing_else() -> None:
    x = drawn(3, 9, 30)
    assert frechet(x, x) == pytest.approx(0.0, abs=1e-9)  # traces of some thousands cancel
    assert frechet(x, x + 2.0) == pytest.approx(4.0 * 30)


def test_kernel_distance_term_by_term() -> None:
    x, y = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 1.0], [2.0, 0.0]])
    own = (0 / 2 + 1) ** 3, (2 / 2 + 1) ** 3
    cross = ((1 / 2 + 1) ** 3 + (2 / 2 + 1) ** 3 + (1 / 2 + 1) ** 3 + (0 / 2 + 1) ** 3) / 4
    assert kernel_distance(x, y) == pytest.approx(sum(own) - 2 * cross)


def test_kernel_distance_of_one_distribution_does_not_grow_as_the_frechet_distance_does() -> None:
    small, large = ((drawn(5, n, 8), drawn(5, 2 * n, 8)[n:]) for n in (12, 600))
    assert frechet(*small) > 10 * frechet(*large)
    assert abs(kernel_distance(*large)) < 0.1 * abs(kernel_distance(large[0], large[1] + 2))


@pytest.mark.parametrize("name", LITTLE)
def test_pictures_that_did_not_change_are_at_no_distance(name: str) -> None:
    metric = get(name)
    assert isinstance(metric, SetMetric)
    still = [turn for turn in played(untouched) if turn.turn == 2]
    edited = [turn for turn in played(right) if turn.turn == 2]
    found = metric.score_set(still), metric.score_set(edited)
    # Traces of float64 cancel.
    assert found[0] == pytest.approx(0.0, abs=1e-6) if "fid" in name else found[0] is not None
    assert found[0] is not None
    assert found[1] is not None
    assert found[0] < found[1]


@pytest.mark.parametrize("name", LITTLE)
def test_one_turn_or_another_world_has_no_distribution(name: str) -> None:
    metric = get(name)
    assert isinstance(metric, SetMetric)
    assert metric.score_set(played(shuffled)[:1]) is None
    assert metric.score_set([single(PhotoCase(noise(0)), 1, noise(1), noise(0))] * 3) is None
