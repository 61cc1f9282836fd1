"""How the benchmarks measure: intervals, pairs against drift, clocks that stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import core, flux_bars, parity
from benchmarks.measure import Stopwatch, median_interval, paired

MODELS = Path(__file__).parents[1] / "docs" / "models.md"


@pytest.mark.parametrize(("count", "rank"), [(6, 1), (10, 2), (20, 6), (40, 14), (100, 40)])
def test_the_median_s_interval_has_the_ranks_of_the_sign_test(count: int, rank: int) -> None:
    """The ranks that statistical tables give for 95 %, in any order of the values."""
    values = [float((7 * number) % 101) for number in range(count)]
    ordered = sorted(values)
    assert median_interval(values) == (ordered[rank - 1], ordered[count - rank])


def test_five_values_enclose_no_median_so_surely() -> None:
    assert median_interval([1.0, 1.1, 0.9, 1.0, 1.2]) == (float("-inf"), float("inf"))


class Slowing:
    """A processor on which every call takes a hundredth of a second longer than the one before."""

    def __init__(self) -> None:
        self.now, self._calls = 0.0, 0

    def call(self, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self._calls += 1
            self.now += seconds * (1.0 + 0.01 * self._calls)

        return run


def test_what_slows_down_steadily_is_in_both_alike() -> None:
    processor = Slowing()
    found = paired(processor.call(2.0), processor.call(2.1), 8, clock=lambda: processor.now)
    assert (found.ratio, found.low, found.high) == pytest.approx((1.05, 1.05, 1.05))
    assert found.other / found.base == pytest.approx(1.05)


def test_a_stopwatch_goes_within_its_blocks_alone() -> None:
    times = iter([1.0, 3.0, 10.0, 10.5])
    watch = Stopwatch(lambda: next(times))
    for expected in (2.0, 2.5):
        with watch:
            pass
        assert watch() == expected


@pytest.mark.parametrize(
    ("interval", "verdict"), [((0.99, 1.01), "held"), ((1.011, 1.02), "MISSED"), ((1.0, 1.02), "not decided")]
)
def test_a_bar_is_held_where_the_whole_interval_is(interval: tuple[float, float], verdict: str) -> None:
    row = flux_bars.Row("a forward", flux_bars.BAR_SIZE, 1.0, 1.005, interval)
    assert verdict in flux_bars.said(row)
    assert (flux_bars.judged(row), core.Figure("a ratio", 1.005, flux_bars.BAR, "", interval).verdict) == (
        verdict,
    ) * 2
    assert flux_bars.judged(replace(row, size=512)) is None, "the bar is of one size"


def test_a_figure_without_an_interval_is_held_up_to_its_bar() -> None:
    assert [core.Figure("a ratio", ratio, 0.3, "").verdict for ratio in (0.29, 0.3, 0.31)] == [
        "held",
        "held",
        "MISSED",
    ]


@pytest.mark.slow
def test_the_table_of_parity_has_a_line_for_all_that_is_measured() -> None:
    """Float32 within the bar; bf16, which rounds otherwise on other processors, within a few of its last places."""
    lines = MODELS.read_text("utf-8").split(parity.HEAD)[1].strip().split("\n\n")[0].splitlines()
    measured = list(parity.rows())
    assert [line.split("|")[1:4] for line in lines] == [parity.line(row).split("|")[1:4] for row in measured]
    for line, row in zip(lines, measured, strict=True):
        bar = 1e-5 if row.dtype == "fp32" else 2**-7 * row.largest
        assert max(row.difference, float(line.split("|")[4])) <= bar
