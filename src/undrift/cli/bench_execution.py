"""From options to a finished run: what the commands of ``undrift bench`` do. Loads torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from undrift.backbones.flux_architecture import FLUX_1
from undrift.bench.case import Case
from undrift.bench.metrics.base import Measure
from undrift.bench.records import Manifest, RunFolder
from undrift.bench.runner import scoring
from undrift.bench.runner.lock import held
from undrift.bench.runner.methods import method_of
from undrift.bench.runner.place import Here, Job, Place
from undrift.bench.runner.plan import plan
from undrift.bench.runner.start import Order, begin, check
from undrift.bench.runner.status import Status
from undrift.bench.runner.status import status as states
from undrift.bench.suites.registry import open_suite
from undrift.cli.bench_progress import bar
from undrift.cli.execution import load_model
from undrift.cli.options import ModelChoice, shell
from undrift.cli.output import emit
from undrift.cli.progress import StopOnInterrupt
from undrift.errors import Cancelled, UndriftError


class BenchError(UndriftError):
    """Some of a run failed; the rest is done."""

    exit_code = 1


def run(
    order: Order, folder: RunFolder, model: ModelChoice, metrics: Sequence[str] | None, ray: str | None, as_json: bool
) -> None:
    """Make what is missing of a run and score it; ``metrics`` of None leaves the scores out, empty takes all."""
    measures = None if metrics is None else scoring.chosen(metrics or None)
    cases = check(order, folder)
    try:
        manifest = _make(order, folder, cases, model, ray)
        problems = {} if measures is None else _score(folder, manifest, cases, measures, again=False)
    except (Cancelled, KeyboardInterrupt):
        raise Cancelled(f"stopped; what is done is kept in {folder.path}: the same command goes on with it") from None
    _report(folder, states(folder, [spec.label for spec in manifest.methods], cases), problems, as_json)


def score(folder: RunFolder, metrics: Sequence[str], again: bool, as_json: bool) -> None:
    """Score what a run has made; empty ``metrics`` takes all."""
    manifest = folder.manifest()
    measures = scoring.chosen(metrics or None)
    cases = open_suite(manifest.suite)
    problems = _score(folder, manifest, cases, measures, again)
    _report(folder, states(folder, [spec.label for spec in manifest.methods], cases), problems, as_json)


def status(folder: RunFolder, as_json: bool) -> None:
    """Print how far a run is."""
    manifest = folder.manifest()
    cases = open_suite(manifest.suite)
    found = states(folder, [spec.label for spec in manifest.methods], cases)
    emit(as_json, _summary(folder, found, {}), "\n".join(_lines(found)))


def _make(order: Order, folder: RunFolder, cases: Sequence[Case], model: ModelChoice, ray: str | None) -> Manifest:
    with StopOnInterrupt() as stop, _place(model, order.model, ray, stop) as place:
        manifest = begin(order, folder, place.identity, place.tuned)
        job = Job(folder, manifest, cases, plan(cases, manifest.methods, manifest.batch))
        # A turn counts by its evaluations, and one for the rest. The model may be elsewhere, and only shares matter.
        costs = {spec.label: method_of(spec).cost(FLUX_1).evaluations + 1 for spec in manifest.methods}
        total = sum(costs.values()) * sum(case.turns for case in cases)
        with held(folder), bar("turns", total, shell().quiet) as shown:
            shown.start_at(sum(cost * _done(folder, label, cases) for label, cost in costs.items()))
            place.work(job, lambda record: shown.advance(costs[record.label], f"{record.label} {record.case}"))
    return manifest


def _done(folder: RunFolder, label: str, cases: Sequence[Case]) -> int:
    """Turns of a method that are there already."""
    return sum(len(folder.records(label, case.id)) for case in cases)


@contextmanager
def _place(model: ModelChoice, name: str, ray: str | None, stop: StopOnInterrupt) -> Iterator[Place]:
    """Where the work is done."""
    if ray is None:
        yield Here(load_model(model), stop.check, [stop])
        return
    from undrift.bench.runner.ray_place import OnRay

    with OnRay(ray, {**model.arguments, "name": name}, stop.check) as place:
        yield place


def _score(
    folder: RunFolder, manifest: Manifest, cases: Sequence[Case], measures: Sequence[Measure], again: bool
) -> dict[str, str]:
    labels = [spec.label for spec in manifest.methods]
    total = sum(_done(folder, label, cases) for label in labels)
    with held(folder), bar("scores", total, shell().quiet) as shown:
        return scoring.score(folder, labels, cases, measures, again=again, told=shown.advance)


def _report(folder: RunFolder, found: Sequence[Status], problems: Mapping[str, str], as_json: bool) -> None:
    """Print the summary.

    Raises:
        SystemExit: something failed, or is not finished.
    """
    emit(as_json, _summary(folder, found, problems), "\n".join([*_lines(found), f"run: {folder.path}"]))
    failed = sum(len(one.failed) for one in found)
    if failed or problems:
        metrics = "; ".join(f"{name}: {why}" for name, why in problems.items())
        said = [f"{failed} cases failed (see: undrift bench status {folder.path})"] if failed else []
        raise BenchError("; ".join([*said, *([f"metrics failed: {metrics}"] if metrics else [])]))


def _lines(found: Sequence[Status]) -> Iterator[str]:
    width = max((len(one.label) for one in found), default=0)
    for one in found:
        state = "finished" if one.finished else "failed" if one.failed else "unfinished"
        yield f"{one.label:{width}}  {one.made:4} of {one.total} turns, {one.scored:4} scored  {state}"
        for record in one.failed:
            yield f"  {record.case}, turn {record.turn}: {record.error}"


def _summary(folder: RunFolder, found: Sequence[Status], problems: Mapping[str, str]) -> dict[str, Any]:
    methods = [
        {
            "label": one.label,
            "turns": one.total,
            "made": one.made,
            "scored": one.scored,
            "failed": [{"case": r.case, "turn": r.turn, "error": r.error} for r in one.failed],
        }
        for one in found
    ]
    return {"run": str(folder.path), "methods": methods, "metrics": dict(problems)}
