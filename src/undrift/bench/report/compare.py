"""What changed between two runs beyond noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undrift.bench.report.results import Arm, Info, Results, read_results
from undrift.bench.report.tables import shown
from undrift.bench.statistics import Estimate, Verdict, difference, verdict
from undrift.errors import InputError


@dataclass(frozen=True)
class Change:
    """One metric of one pair of methods.

    Attributes:
        first, second: labels.
        info: of the metric.
        difference: second - first over the turns that both have.
        verdict: what that says of the second.
    """

    first: str
    second: str
    info: Info
    difference: Estimate
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """Plain data; the bounds are null below the fewest cases."""
        d = self.difference
        return {
            "first": self.first,
            "second": self.second,
            "metric": self.info.name,
            "unit": self.info.unit,
            "difference": d.mean,
            "low": d.low if d.bounded else None,
            "high": d.high if d.bounded else None,
            "turns": d.turns,
            "cases": d.cases,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class Side:
    """A run, and one of its methods or all."""

    run: Path
    label: str | None


def side(text: str) -> Side:
    """``RUN`` or ``RUN:LABEL``; a folder whose name has a colon is taken as it is."""
    run, colon, label = text.rpartition(":")
    return Side(Path(text), None) if Path(text).exists() or not colon or not label else Side(Path(run), label)


def compare(first: str, second: str, limit: int | None = None) -> list[Change]:
    """Every metric of every pair: the methods named, else those with the same label in both runs.

    Raises:
        InputError: no run, different suites, or no pair; the message says what there is.
    """
    a, b = side(first), side(second)
    runs = [a.run] if a.run.resolve() == b.run.resolve() else [a.run, b.run]
    results = read_results(runs, limit)
    pairs = _pairs(_arms(results, a), _arms(results, b), named=a.label is not None or b.label is not None)
    if not pairs:
        raise InputError(
            f"'{first}' and '{second}' have no method in common: name one of each as RUN:LABEL; there are "
            f"{', '.join(arm.spec.label for arm in results.arms)}"
        )
    return [change for one, other in pairs for change in _changes(results, one, other)]


def _arms(results: Results, wanted: Side) -> dict[str, Arm]:
    arms = {arm.spec.label: arm for arm in results.arms if arm.run.path.resolve() == wanted.run.resolve()}
    if wanted.label is None:
        return arms
    if wanted.label not in arms:
        raise InputError(f"no method '{wanted.label}' in '{wanted.run}': there are {', '.join(arms)}")
    return {wanted.label: arms[wanted.label]}


def _pairs(first: Mapping[str, Arm], second: Mapping[str, Arm], *, named: bool) -> list[tuple[Arm, Arm]]:
    """Two single methods are a pair whatever they are called; of many, those of the same label are."""
    if len(first) == len(second) == 1:
        pairs = [(next(iter(first.values())), next(iter(second.values())))]
    elif named and 1 in (len(first), len(second)):
        pairs = [(one, other) for one in first.values() for other in second.values()]
    else:
        pairs = [(arm, second[label]) for label, arm in first.items() if label in second]
    return [(one, other) for one, other in pairs if one is not other or not named]


def _changes(results: Results, first: Arm, second: Arm) -> Iterator[Change]:
    for info in results.infos.values():
        change = difference(results.values(second, info.name), results.values(first, info.name))
        if change.turns:
            yield Change(first.label, second.label, info, change, verdict(change, info.higher_is_better))


def as_text(changes: Sequence[Change]) -> str:
    """A block per pair, a line per metric."""
    pairs = list(dict.fromkeys((change.first, change.second) for change in changes))
    return "\n\n".join(_block(pair, [c for c in changes if (c.first, c.second) == pair]) for pair in pairs)


def _block(pair: tuple[str, str], changes: Sequence[Change]) -> str:
    width = max(len(change.info.title) for change in changes)
    lines = [f"{pair[1]} minus {pair[0]}: mean [95 % interval over cases], turns in common"]
    return "\n".join(lines + [_line(change, width) for change in changes])


def _line(change: Change, width: int) -> str:
    d, info = change.difference, change.info
    mean, low, high = (shown(info, value, signed=True) for value in (d.mean, d.low, d.high))
    interval = f"[{low}, {high}]" if d.bounded else "[too few cases]"
    unit = f" {info.unit}" if info.unit else ""
    return f"  {info.title:<{width}}  {change.verdict:<13}  {mean}{unit} {interval}  n={d.turns}"
