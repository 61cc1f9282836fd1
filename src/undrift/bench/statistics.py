"""Means with intervals, and differences beyond noise: the paired bootstrap over cases.

The turns of one case depend on each other (turn 3 starts from turn 2), so cases are resampled, never turns. Two
methods do the same cases, so their difference is taken turn by turn before anything is resampled: what makes a case
hard for both cancels.

Interval: the *expanded percentile* interval (Hesterberg 2015, "What Teachers Should Know about the Bootstrap",
section 5.3). Plain percentiles are too narrow for few cases, by sqrt((n - 1) / n) and for want of Student's t; the
tail is taken at Phi(-t sqrt(n / (n - 1))) instead of at alpha / 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""(cases, turns); NaN where a turn is unscored."""

LEVEL = 0.95
RESAMPLES = 4000
SEED = 20_250_504
FEWEST_CASES = 6
"""Below this many cases no interval is given: if nothing differs, n cases all lean the same way with probability
2 / 2^n, and only from n = 6 on is that below 5 %."""

Verdict = Literal["better", "worse", "differs", "no difference", "too few"]


@dataclass(frozen=True)
class Estimate:
    """A mean and where it may lie.

    Attributes:
        mean: over all scored turns; NaN if there is none.
        low, high: the interval of ``LEVEL``; NaN below ``FEWEST_CASES`` cases.
        turns: n, the scored turns behind the mean.
        cases: in how many cases they lie.
    """

    mean: float
    low: float
    high: float
    turns: int
    cases: int

    @property
    def bounded(self) -> bool:
        """Whether there were enough cases for an interval."""
        return self.low == self.low


def mean_of(values: Matrix, *, resamples: int = RESAMPLES, seed: int = SEED, level: float = LEVEL) -> Estimate:
    """The mean over the scored turns, with its bootstrap interval over cases.

    Args:
        values: (cases, turns), NaN where unscored.
        resamples: B.
        seed: the same values always get the same interval.
        level: of the interval.
    """
    scored = np.isfinite(values)
    sums, counts = np.where(scored, values, 0.0).sum(axis=1), scored.sum(axis=1)
    sums, counts = sums[counts > 0], counts[counts > 0]
    cases, turns = len(counts), int(counts.sum())
    if not cases:
        return Estimate(nan, nan, nan, 0, 0)
    mean = float(sums.sum() / turns)
    if cases < FEWEST_CASES:
        return Estimate(mean, nan, nan, turns, cases)
    drawn = np.random.default_rng(seed).integers(cases, size=(resamples, cases))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    tail = expanded_tail(cases, level)
    low, high = np.quantile(means, (tail, 1.0 - tail))
    return Estimate(mean, float(low), float(high), turns, cases)


def difference(values: Matrix, reference: Matrix, **options: float) -> Estimate:
    """Mean of ``values`` - ``reference`` over the turns that both have scored, paired, with its interval.

    Args:
        values, reference: (cases, turns) of the same cases and turns, NaN where unscored.
        options: of ``mean_of``.
    """
    return mean_of(values - reference, **options)  # type: ignore[arg-type]


def verdict(change: Estimate, higher_is_better: bool | None) -> Verdict:
    """What a difference says: only an interval without 0 says anything."""
    if not change.bounded:
        return "too few"
    if change.low <= 0.0 <= change.high:
        return "no difference"
    if higher_is_better is None:
        return "differs"
    return "better" if (change.low > 0.0) == higher_is_better else "worse"


def expanded_tail(cases: int, level: float = LEVEL) -> float:
    """Phi(-t sqrt(n / (n - 1))), t the Student quantile with n - 1 degrees of freedom; towards alpha / 2 for many."""
    probability = (1.0 + level) / 2.0
    return NormalDist().cdf(-student_quantile(probability, cases - 1) * sqrt(cases / (cases - 1)))


def student_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t by its expansion in 1 / freedom (Abramowitz and Stegun 26.7.5).

    Within 0.002 at 0.975 from 5 degrees of freedom on, which is where it is used.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum((term / float(freedom) ** power for power, term in enumerate(terms, 1)), 0.0)
