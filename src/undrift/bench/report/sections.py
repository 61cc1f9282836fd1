"""The report's sections, from results to a document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from undrift.bench.records import Manifest
from undrift.bench.report import choice, tables
from undrift.bench.report.document import Block, Bullets, Cell, Document, Section, Table, Text
from undrift.bench.report.figures import curve_figure, headline_figures
from undrift.bench.report.results import Arm, Results
from undrift.bench.report.sheets import contact_sheets
from undrift.bench.statistics import FEWEST_CASES, RESAMPLES, SEED
from undrift.bench.suites.registry import all_suites

MOST_FAILURES = 200


def build(results: Results, reference: Arm) -> Document:
    """The whole report; sections without content are left out."""
    sections = [
        Section("headline", "Freeze against drift", _headline(results)),
        Section("reconstruction", "Reconstruction over the rounds", _reconstruction(results)),
        Section("comparison", f"Differences to {reference.label}", _comparison(results, reference)),
        Section("table-1", "The paper's Table 1", _table_1(results)),
        Section("table-2", "The paper's Table 2", tables.table_2(results)),
        Section("curves", "Over the turns", _over_turns(results)),
        Section("types", "By edit type", _kinds(results, results.types, "edit type")),
        Section("scopes", "By what the words change", _kinds(results, results.scopes, "what the words change")),
        Section("pie-bench", "PIE-Bench's metrics", _group(results, choice.PIE)),
        Section("drift", "Change against turn 0 and the turn before", _group(results, choice.DRIFTING)),
        Section("costs", "Costs", [tables.costs(results)] if choice.of_group(results, choice.COST) else []),
        Section("sheets", "Pictures", contact_sheets(results, reference)),
        Section("failures", "Failures", _failures(results)),
        Section("run", "What was run", _what_was_run(results)),
    ]
    return Document(_title(results), _lead(results), [section for section in sections if section.blocks])


def _title(results: Results) -> str:
    return f"undrift benchmark: {results.suite.name}, {results.suite.variant}"


def _lead(results: Results) -> str:
    models = ", ".join(sorted({arm.manifest.model for arm in results.arms}))
    return (
        f"{len(results.arms)} methods on {_cases(results)} of up to {results.turns} turns, with {models}. "
        "↑ and ↓ say where better is. Unscored is not zero: it is shown as a dash, and every mean comes with n, the "
        "number of scored turns behind it."
    )


def _cases(results: Results) -> str:
    cut = "the suite's first " if results.suite.limit is not None else ""
    return f"{cut}{len(results.cases)} cases"


def _headline(results: Results) -> list[Block]:
    if not choice.headlines(results) or _is_reconstruction(results):
        return []
    return [*headline_figures(results), tables.headline(results, choice.headlines(results))]


def _comparison(results: Results, reference: Arm) -> list[Block]:
    if len(results.arms) < 2 or not choice.headlines(results):
        return []
    how = (
        f"Intervals: paired bootstrap, {RESAMPLES} resamples of whole cases (seed {SEED}), expanded percentiles, "
        f"95 % each and not corrected for their number: of 100 comparisons without a difference about 5 are marked. "
        f"Below {FEWEST_CASES} cases nothing is marked."
    )
    return [tables.comparison(results, reference), Text(how)]


def _table_1(results: Results) -> list[Block]:
    return [] if _is_reconstruction(results) else [tables.table_1(results)]


def _is_reconstruction(results: Results) -> bool:
    return {name for row in results.types for name in row} <= {choice.RECONSTRUCT, ""}


def _reconstruction(results: Results) -> list[Block]:
    if not _is_reconstruction(results):
        return []
    intro = (
        "Every round asks for what the picture already shows, so the right answer is the original. The paper shows "
        "this experiment as pictures only (its figure 2) and publishes no numbers for it."
    )
    infos = choice.since_original(results)
    pairs = ((curve_figure(results, info, smooth=False), tables.rounds(results, info)) for info in infos)
    return [Text(intro), *(block for pair in pairs for block in pair)]


def _over_turns(results: Results) -> list[Block]:
    if results.turns < 2 or _is_reconstruction(results):
        return []
    pairs = ((curve_figure(results, info), tables.per_turn(results, info)) for info in choice.curves(results))
    return [block for pair in pairs for block in pair]


def _kinds(results: Results, kinds: Sequence[Sequence[str]], by: str) -> list[Block]:
    if len({name for row in kinds for name in row} - {""}) < 2:
        return []
    infos = choice.present(results, choice.TYPES) or choice.headlines(results)
    return [tables.per_kind(results, info, kinds, by) for info in infos]


def _group(results: Results, group: str) -> list[Block]:
    table = tables.of_infos(results, choice.present(results, [info.name for info in choice.of_group(results, group)]))
    return [] if table is None else [table]


def _failures(results: Results) -> list[Block]:
    found = [failure for arm in results.arms for failure in arm.failures]
    unfinished = [line for arm in results.arms if (line := _unfinished(results, arm))]
    blocks: list[Block] = [Bullets(unfinished)] if unfinished else []
    if not found:
        return [*blocks, Text("No turn failed and no metric did.")]
    rows = [[Cell(f.label), Cell(f.case), Cell(str(f.turn)), Cell(f.what), Cell(f.reason)] for f in found]
    caption = f"{len(found)} failures{_cut(len(found))}; a failed turn ends its case, and counts nowhere."
    return [*blocks, Table(caption, ["method", "case", "turn", "while", "reason"], rows[:MOST_FAILURES], code=True)]


def _cut(count: int) -> str:
    return f", the first {MOST_FAILURES} shown" if count > MOST_FAILURES else ""


def _unfinished(results: Results, arm: Arm) -> str | None:
    wanted = sum(results.known[case].turns if case in results.known else results.turns for case in results.cases)
    return None if arm.made == wanted else f"{arm.label}: {arm.made} of {wanted} turns are made."


def _what_was_run(results: Results) -> list[Block]:
    manifests = {arm.run.path: arm.manifest for arm in results.arms}
    facts = [tables.facts(path.name, _facts(results, manifest)) for path, manifest in manifests.items()]
    return [*facts, _parameters(results)]


def _facts(results: Results, manifest: Manifest) -> Iterable[tuple[str, str]]:
    suite = all_suites().get(manifest.suite.name)
    arms = [arm for arm in results.arms if arm.manifest is manifest]
    devices = {r.device for arm in arms for records in arm.records.values() for r in records if r.device}
    yield "suite", f"{manifest.suite.name}, {manifest.suite.variant}" + (f": {suite.title}" if suite else "")
    yield "cases and turns shown", f"{_cases(results)}, up to {results.turns} turns"
    yield "model", manifest.model
    yield "weights, SHA-256", manifest.weights_hash
    yield "data type", manifest.dtype
    if manifest.quantize != "none":
        yield "quantised as", manifest.quantize
    if manifest.loras:
        yield "LoRAs", ", ".join(manifest.loras)
    if manifest.options:
        yield "options", ", ".join(manifest.options)
    yield "device", ", ".join(sorted(devices)) or "unknown"
    yield "seed", f"{manifest.seed}, added to each case's own; turn k of a case adds k \N{MINUS SIGN} 1"
    yield "handed over between turns", manifest.handover
    yield "pictures in a batch", str(manifest.batch)
    yield "created", manifest.created
    yield "versions", ", ".join(f"{package} {version}" for package, version in sorted(manifest.versions.items()))


def _parameters(results: Results) -> Table:
    rows = [
        [Cell(arm.label), Cell(arm.spec.method), Cell(arm.spec.preset), Cell(str(arm.made)), Cell(_params(arm))]
        for arm in results.arms
    ]
    return Table("Exact parameters.", ["method", "editor", "preset", "turns made", "parameters"], rows, code=True)


def _params(arm: Arm) -> str:
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in arm.spec.params.items()) or "none"
