"""Run folders, read and lined up: every method a row of numbers over the same cases and turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from undrift.bench.case import Case
from undrift.bench.metrics.registry import all_metrics
from undrift.bench.records import TURNS, Manifest, MethodSpec, RunFolder, Scores, TurnRecord, TurnScores
from undrift.bench.statistics import Matrix
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.errors import InputError, UndriftError
from undrift.methods.scope import scope_of


@dataclass(frozen=True)
class Info:
    """What a metric says of itself, see ``metrics.base.Measure``."""

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    group: str


@dataclass(frozen=True)
class Failure:
    """A turn that was not made, or a metric that could not score one."""

    label: str
    case: str
    turn: int
    what: str
    reason: str


@dataclass(frozen=True, eq=False)
class Arm:
    """One method's results.

    Attributes:
        label: names it in the report; unique.
        spec: the editor, with its label in the run.
        run: where it lies.
        manifest: of the run.
        records: by case.
        values: metric name -> (cases, turns), NaN where unscored.
        sets: turn -> numbers of the whole set.
        failures: in order.
    """

    label: str
    spec: MethodSpec
    run: RunFolder
    manifest: Manifest
    records: Mapping[str, Sequence[TurnRecord]]
    values: Mapping[str, Matrix]
    sets: Mapping[int, Scores]
    failures: tuple[Failure, ...]

    @property
    def made(self) -> int:
        """Finished turns."""
        return sum(record.image is not None for records in self.records.values() for record in records)

    def picture(self, case: str, turn: int) -> Path | None:
        """The file of a turn's picture; None if it was not made."""
        found = [record for record in self.records.get(case, ()) if record.turn == turn and record.image]
        return self.run.folder(self.spec.label, case) / str(found[0].image) if found else None


@dataclass(frozen=True)
class Results:
    """Everything the report shows.

    Attributes:
        suite: of the runs; the limit is that of the report.
        cases: ids, in the suite's order.
        turns: of the longest case.
        arms: one per method, in the order of the runs and their manifests.
        infos: the metrics that have a number somewhere, by name.
        types: (cases, turns) names of the edit types, "" where unknown.
        scopes: (cases, turns) where the words of each turn act, see ``scope_of``; "" where unknown.
        known: the suite's cases by id, with right answers; empty if the suite's data is not at hand.
    """

    suite: SuiteSpec
    cases: tuple[str, ...]
    turns: int
    arms: tuple[Arm, ...]
    infos: Mapping[str, Info]
    types: Sequence[Sequence[str]]
    scopes: Sequence[Sequence[str]]
    known: Mapping[str, Case] = field(default_factory=dict)

    def values(self, arm: Arm, metric: str) -> Matrix:
        """(cases, turns) numbers of a metric, NaN where unscored."""
        return arm.values.get(metric, np.full((len(self.cases), self.turns), np.nan))

    def arm(self, label: str) -> Arm:
        """The arm with a label.

        Raises:
            InputError: there is none; the message lists what there is.
        """
        for arm in self.arms:
            if arm.label == label:
                return arm
        raise InputError(f"no method '{label}' in the runs: there are {', '.join(arm.label for arm in self.arms)}")


def read_results(paths: Sequence[Path], limit: int | None = None) -> Results:
    """Read runs of one suite and line their methods up.

    A label that occurs in several runs is followed by the run's folder name, and one of another model than the first
    run's by the model's name.

    Args:
        paths: run folders.
        limit: only the first so many cases of the suite.

    Raises:
        InputError: no run folder, runs of different suites, or nothing made yet.
    """
    runs = [(RunFolder(path), RunFolder(path).manifest()) for path in paths]
    suite = _common_suite(runs, limit)
    known = _known_cases(suite)
    cases = tuple(known) or _cases_on_disk(runs)[: suite.limit]
    turns = max((case.turns for case in known.values()), default=0) or _turns_on_disk(runs, cases)
    labels = Counter(spec.label for _, manifest in runs for spec in manifest.methods)
    arms = tuple(
        _arm(run, manifest, spec, cases, turns, _label(run, manifest, spec, labels, runs[0][1].model))
        for run, manifest in runs
        for spec in manifest.methods
    )
    if not any(arm.made for arm in arms):
        raise InputError(f"nothing is made yet in {', '.join(map(str, paths))}: run it with undrift bench run")
    return Results(suite, cases, turns, arms, _infos(arms), *_kinds(arms, cases, turns), known)


def _common_suite(runs: Sequence[tuple[RunFolder, Manifest]], limit: int | None) -> SuiteSpec:
    suites = [manifest.suite for _, manifest in runs]
    for (run, _), suite in zip(runs, suites, strict=True):
        if (suite.name, suite.variant) != (suites[0].name, suites[0].variant):
            raise InputError(
                f"runs of different suites cannot be compared: '{runs[0][0].path}' is {_title(suites[0])}, "
                f"'{run.path}' is {_title(suite)}; report them separately"
            )
    limits = [suite.limit for suite in suites if suite.limit is not None] + ([] if limit is None else [limit])
    turns = [suite.turns for suite in suites if suite.turns is not None]
    return suites[0].model_copy(update={"limit": min(limits, default=None), "turns": min(turns, default=None)})


def _title(suite: SuiteSpec) -> str:
    return f"{suite.name}:{suite.variant}"


def _known_cases(suite: SuiteSpec) -> Mapping[str, Case]:
    try:
        return {case.id: case for case in open_suite(suite)}
    except (UndriftError, OSError):
        return {}


def _cases_on_disk(runs: Sequence[tuple[RunFolder, Manifest]]) -> tuple[str, ...]:
    found = {
        folder.name
        for run, manifest in runs
        for spec in manifest.methods
        for folder in (run.path / TURNS / spec.label).glob("*")
        if folder.is_dir()
    }
    return tuple(sorted(found))


def _turns_on_disk(runs: Sequence[tuple[RunFolder, Manifest]], cases: Sequence[str]) -> int:
    every = (
        record.turn
        for run, manifest in runs
        for spec in manifest.methods
        for case in cases
        for record in run.records(spec.label, case)
    )
    return max(every, default=0)


def _arm(run: RunFolder, manifest: Manifest, spec: MethodSpec, cases: Sequence[str], turns: int, label: str) -> Arm:
    records = {case: [r for r in run.records(spec.label, case) if r.turn <= turns] for case in cases}
    scores = {case: _valid(run.scores(spec.label, case), records[case]) for case in cases}
    failures = tuple(_failures(label, records, scores))
    # Numbers of whole sets belong to all cases of the run; of a part of them they say nothing.
    sets = run.sets().get(spec.label, {}) if _whole(manifest.suite, cases) else {}
    return Arm(label, spec, run, manifest, records, _matrices(scores, cases, turns), sets, failures)


def _label(run: RunFolder, manifest: Manifest, spec: MethodSpec, labels: Mapping[str, int], model: str) -> str:
    label = spec.label if labels[spec.label] == 1 else f"{spec.label} ({run.path.resolve().name})"
    return label if manifest.model == model else f"{label} on {Path(manifest.model).name}"


def _valid(scores: Mapping[int, TurnScores], records: Sequence[TurnRecord]) -> dict[int, TurnScores]:
    """Without the scores of turns that were made again since, or that are not made."""
    hashes = {record.turn: record.image_hash for record in records if record.image is not None}
    return {turn: line for turn, line in scores.items() if turn in hashes and line.image_hash == hashes[turn]}


def _whole(suite: SuiteSpec, cases: Sequence[str]) -> bool:
    known = _known_cases(suite)
    return not known or tuple(known) == tuple(cases)


def _failures(
    label: str, records: Mapping[str, Sequence[TurnRecord]], scores: Mapping[str, Mapping[int, TurnScores]]
) -> Iterator[Failure]:
    for case, lines in records.items():
        for record in lines:
            if record.error is not None:
                yield Failure(label, case, record.turn, "editing", record.error)
        for turn, line in scores[case].items():
            for metric, reason in line.errors.items():
                yield Failure(label, case, turn, metric, reason)


def _matrices(scores: Mapping[str, Mapping[int, TurnScores]], cases: Sequence[str], turns: int) -> dict[str, Matrix]:
    found: dict[str, Matrix] = {}
    for row, case in enumerate(cases):
        for turn, line in scores[case].items():
            for metric, value in line.values.items():
                if value is not None and turn <= turns:
                    matrix = found.setdefault(metric, np.full((len(cases), turns), np.nan))
                    matrix[row, turn - 1] = value
    return found


def _infos(arms: Sequence[Arm]) -> dict[str, Info]:
    names = {name for arm in arms for name in arm.values}
    names |= {name for arm in arms for values in arm.sets.values() for name, v in values.items() if v is not None}
    return {name: info_of(name) for name in sorted(names)}


def info_of(name: str) -> Info:
    """What is known of a metric; a name that this version does not know is its own title and in no group."""
    metric = all_metrics().get(name)
    if metric is None:
        return Info(name, name, "", None, "")
    return Info(name, metric.title, metric.unit, metric.higher_is_better, metric.group)


def _kinds(arms: Sequence[Arm], cases: Sequence[str], turns: int) -> tuple[list[list[str]], list[list[str]]]:
    """``Results.types`` and ``Results.scopes``."""
    types, scopes = ([[""] * turns for _ in cases] for _ in range(2))
    for arm in arms:
        for row, case in enumerate(cases):
            for record in arm.records[case]:
                types[row][record.turn - 1] = record.edit_type
                scopes[row][record.turn - 1] = scope_of(record.source_prompt, record.target_prompt).value
    return types, scopes


def only(results: Results, labels: Sequence[str]) -> Results:
    """The results of some methods alone, in the order given."""
    return replace(results, arms=tuple(results.arm(label) for label in labels))
