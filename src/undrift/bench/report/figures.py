"""From results to plots."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from undrift.bench.report import choice
from undrift.bench.report.document import Figure
from undrift.bench.report.plots import curves, panels, scatter
from undrift.bench.report.results import Arm, Info, Results
from undrift.bench.report.svg import Series, axis, style_of, turn_axis
from undrift.bench.report.tables import GROUP_FROM, title_of
from undrift.bench.statistics import Matrix

REACH = 2
"""Turns to each side that a curve over many turns is averaged over."""
_WITHIN = {"%": (0.0, 100.0)}


def running_means(values: Matrix) -> list[float]:
    """The mean over turns 1 to k for every k; the last is the mean over all. NaN before the first scored turn."""
    scored = np.isfinite(values)
    counts = scored.sum(axis=0).cumsum()
    sums = np.where(scored, values, 0.0).sum(axis=0).cumsum()
    return [float(total / count) if count else float("nan") for total, count in zip(sums, counts, strict=True)]


def turn_means(values: Matrix, reach: int = 0) -> list[float]:
    """The mean of every turn, over ``reach`` turns to each side as well; NaN where nothing is scored."""
    turns = values.shape[1]
    return [_mean(values[:, max(turn - reach, 0) : turn + reach + 1]) for turn in range(turns)]


def _mean(values: NDArray[np.float64]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of a mean of nothing, which is a gap here
        return float(np.nanmean(values)) if values.size else float("nan")


def headline_figures(results: Results) -> list[Figure]:
    """Freeze against drift: all methods in one plot, and a small plot for each one's path."""
    pair = choice.present(results, (choice.DRIFT, choice.FREEZE))
    if len(pair) < 2:
        return []
    across, up = pair
    series = [_path(results, index, arm, across, up) for index, arm in enumerate(results.arms)]
    x, y = (axis(title_of(info), _coordinates(series, n), within=(0.0, 100.0)) for n, info in enumerate(pair))
    title = "Freeze against drift"
    plot = scatter(series, x, y, title)
    paths = panels(series, x, y, "Freeze against drift, method by method")
    return [
        Figure("freeze-drift", plot, (860, 600), _alt(title, series), _CAPTION),
        Figure("freeze-drift-paths", paths, (860, 600), _alt("The same, a panel per method", series), _PATHS),
    ]


_CAPTION = (
    "Freeze rate (edits that did not happen) against drift rate (turns that changed what nobody asked to change). "
    "The best place is the lower left corner. A mark is a method's mean over all turns; the faint line is its path: "
    "the mean over turns 1 to k, for growing k."
)
_PATHS = (
    "The same paths one by one: from “1” (turn 1 alone) to the mark (all turns). Grey dots are the other methods."
)


def _path(results: Results, index: int, arm: Arm, across: Info, up: Info) -> Series:
    xs, ys = running_means(results.values(arm, across.name)), running_means(results.values(arm, up.name))
    return Series(arm.label, _finite(xs, ys), style_of(index))


def curve_figure(results: Results, info: Info, *, smooth: bool = True) -> Figure:
    """One metric over the turns; with ``smooth``, many turns are averaged with their neighbours."""
    reach = REACH if smooth and results.turns >= GROUP_FROM else 0
    turns = [float(turn) for turn in range(1, results.turns + 1)]
    means = [turn_means(results.values(arm, info.name), reach) for arm in results.arms]
    series = [
        Series(arm.label, _finite(turns, line), style_of(index))
        for index, (arm, line) in enumerate(zip(results.arms, means, strict=True))
    ]
    y = axis(title_of(info), _coordinates(series, 1), within=_WITHIN.get(info.unit))
    title = f"{info.title} over the turns"
    plot = curves(series, turn_axis(results.turns), y, title)
    averaged = f" Each point is the mean of up to {2 * reach + 1} turns around it." if reach else ""
    caption = f"{title_of(info)}, mean over the cases, turn by turn.{averaged}"
    return Figure(f"curve-{info.name}", plot, (860, 440), _alt(title, series), caption)


def _finite(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in zip(xs, ys, strict=True) if np.isfinite(x) and np.isfinite(y)]


def _coordinates(series: Sequence[Series], which: int) -> list[float]:
    return [point[which] for one in series for point in one.points]


def _alt(title: str, series: Sequence[Series]) -> str:
    labels = ", ".join(one.label for one in series if one.points)
    return f"{title}: {labels}. The tables of this section hold the numbers."
