"""The bootstrap against answers that are known: simulated truth, identities, and tables of Student's t."""

from __future__ import annotations

import numpy as np
import pytest

from undrift.bench.statistics import FEWEST_CASES, Matrix, difference, mean_of, student_quantile, verdict


def clustered(seed: int, cases: int, turns: int, spread: float = 2.0) -> Matrix:
    """Normal numbers around 5 whose turns share their case's part, so that they are far from independent."""
    rng = np.random.default_rng(seed)
    return 5.0 + rng.normal(0, spread, (cases, 1)) + rng.normal(0, 1, (cases, turns))


@pytest.mark.parametrize("cases", [8, 24, 64])
def test_intervals_hold_the_true_mean_as_often_as_they_say(cases: int) -> None:
    estimates = [mean_of(clustered(seed, cases, 5), resamples=1000, seed=seed) for seed in range(400)]
    share = np.mean([estimate.low <= 5.0 <= estimate.high for estimate in estimates])
    assert 0.92 <= share <= 0.98  # 0.95 within 3 standard errors of 400 trials


def test_resampling_turns_would_promise_too_much() -> None:
    """Turns of a case agree: intervals that ignore it are far too narrow, which is why cases are resampled."""
    trials = [clustered(seed, 12, 20).reshape(-1, 1) for seed in range(200)]
    estimates = [mean_of(values, resamples=400) for values in trials]
    assert np.mean([estimate.low <= 5.0 <= estimate.high for estimate in estimates]) < 0.7


def test_a_run_does_not_differ_from_itself() -> None:
    values = clustered(0, 10, 4)
    change = difference(values, values.copy())
    assert (change.mean, change.low, change.high) == (0.0, 0.0, 0.0)
    assert verdict(change, True) == "no difference"


def test_pairing_finds_what_unpaired_numbers_hide() -> None:
    base = clustered(1, 16, 4)
    better = base + 0.5 + np.random.default_rng(2).normal(0, 0.2, base.shape)
    paired = difference(better, base)
    unpaired = mean_of(better).low - mean_of(base).high
    assert verdict(paired, True) == "better"
    assert verdict(paired, False) == "worse"
    assert verdict(paired, None) == "differs"
    assert unpaired < 0  # the two intervals overlap widely
    assert paired.mean == pytest.approx(0.5, abs=0.1)  # four standard errors, .2 / 8 each


def test_unscored_turns_are_left_out_and_counted_out() -> None:
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, 8.0]])
    estimate = mean_of(values)
    assert (estimate.mean, estimate.turns, estimate.cases) == (4.0, 3, 2)


def test_pairs_need_both_sides() -> None:
    a, b = np.array([[1.0, 2.0, np.nan]]), np.array([[0.5, np.nan, 7.0]])
    change = difference(a, b)
    assert (change.mean, change.turns) == (0.5, 1)


def test_nothing_scored_is_no_number() -> None:
    estimate = mean_of(np.full((3, 2), np.nan))
    assert np.isnan(estimate.mean)
    assert estimate.turns == 0
    assert verdict(estimate, True) == "too few"


def test_few_cases_get_no_verdict_however_clear_they_look() -> None:
    few = difference(np.ones((FEWEST_CASES - 1, 50)), np.zeros((FEWEST_CASES - 1, 50)))
    enough = difference(np.ones((FEWEST_CASES, 50)), np.zeros((FEWEST_CASES, 50)))
    assert not few.bounded
    assert (verdict(few, True), verdict(enough, True)) == ("too few", "better")


def test_the_same_numbers_get_the_same_interval() -> None:
    values = clustered(3, 20, 5)
    assert mean_of(values) == mean_of(values.copy())
    assert mean_of(values) != mean_of(values, seed=1)


def test_large_samples_agree_with_the_normal_interval() -> None:
    values = clustered(4, 400, 1)
    estimate = mean_of(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(400)
    # The percentile of 2000 resamples has a standard error of some 2 percent.
    assert estimate.high - estimate.mean == pytest.approx(half, rel=0.06)
    assert estimate.mean - estimate.low == pytest.approx(half, rel=0.06)  # as above


@pytest.mark.parametrize(("freedom", "tabled"), [(5, 2.5706), (7, 2.3646), (10, 2.2281), (30, 2.0423), (120, 1.9799)])
def test_student_quantiles_match_the_tables(freedom: int, tabled: float) -> None:
    # The series that is used leaves that much at five degrees of freedom.
    assert student_quantile(0.975, freedom) == pytest.approx(tabled, abs=2e-3)
