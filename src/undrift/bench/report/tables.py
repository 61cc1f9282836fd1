"""The report's tables. Every mean carries n, the number of scored turns behind it; unscored is a dash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from undrift.bench.report import choice, paper
from undrift.bench.report.document import EMPTY, Cell, Mark, Table
from undrift.bench.report.results import Arm, Info, Results
from undrift.bench.statistics import Estimate, Matrix, Verdict, difference, mean_of, verdict

_MARKS: dict[Verdict, Mark] = {"better": "better", "worse": "worse", "differs": "neutral"}
_DECIMALS = {"%": 1, "dB": 2, "s": 2, "MiB": 0, "px": 2}
GROUP_FROM = 9
"""From this many turns on, tables show groups of turns."""
GROUP = 5
N_NOTE = "n: scored turns behind a mean."
PAPER_HEADER = ("paper: FID", "paper: CLIP-T", "paper: CLIP-I")


def shown(info: Info, value: float, *, signed: bool = False) -> str:
    """A number of a metric with as many decimals as it deserves."""
    decimals = _DECIMALS.get(info.unit, 0 if info.name in ("nfe", "sample-evaluations") else 3)
    text = f"{value:{'+' if signed else ''}.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def title_of(info: Info) -> str:
    """A metric as a column's title: name, unit, and an arrow to where better is."""
    arrow = {True: " ↑", False: " ↓", None: ""}[info.higher_is_better]
    unit = f", {info.unit}" if info.unit else ""
    return f"{info.title}{unit}{arrow}"


def mean_cell(info: Info, values: Matrix) -> Cell:
    """Mean and n."""
    scored = values[np.isfinite(values)]
    return Cell(shown(info, float(scored.mean())), f"n={scored.size}") if scored.size else EMPTY


def interval_cell(info: Info, estimate: Estimate) -> Cell:
    """Mean, interval and n."""
    return Cell(_with_interval(info, estimate), f"n={estimate.turns}") if estimate.turns else EMPTY


def change_cell(info: Info, change: Estimate) -> Cell:
    """A difference with its interval and n, marked if it is beyond noise."""
    if not change.turns:
        return EMPTY
    said = verdict(change, info.higher_is_better)
    return Cell(_with_interval(info, change, signed=True), f"n={change.turns}", _MARKS.get(said))


def _with_interval(info: Info, estimate: Estimate, *, signed: bool = False) -> str:
    mean = shown(info, estimate.mean, signed=signed)
    if not estimate.bounded:
        return mean
    low, high = (shown(info, bound, signed=signed) for bound in (estimate.low, estimate.high))
    return f"{mean} [{low}, {high}]"


def headline(results: Results, infos: Sequence[Info]) -> Table:
    """Means over all turns with 95 % intervals."""
    rows = [
        [Cell(arm.label), *(interval_cell(info, mean_of(results.values(arm, info.name))) for info in infos)]
        for arm in results.arms
    ]
    caption = f"All turns: mean [95 % interval, cases resampled]. {N_NOTE}"
    return Table(caption, ["method", *map(title_of, infos)], rows)


def comparison(results: Results, reference: Arm) -> Table:
    """Every method minus the reference, over the turns that both have."""
    infos = choice.headlines(results)
    caption = (
        f"Difference to {reference.label} over common turns: mean [95 % interval, paired bootstrap over cases]. "
        f"▲ better and ▼ worse than {reference.label} beyond noise; no mark: no difference can be told. {N_NOTE}"
    )
    rows = [
        [Cell(arm.label), *(_change(results, arm, reference, info) for info in infos)]
        for arm in results.arms
        if arm is not reference
    ]
    return Table(caption, ["method", *map(title_of, infos)], rows)


def _change(results: Results, arm: Arm, reference: Arm, info: Info) -> Cell:
    return change_cell(info, difference(results.values(arm, info.name), results.values(reference, info.name)))


def table_1(results: Results) -> Table:
    """The paper's Table 1: all methods at round 4, its numbers beside ours."""
    turn = min(paper.ROUND, results.turns)
    theirs, ours = _scored_at(results, turn)
    header = ["method", "steps", *map(title_of, theirs), *PAPER_HEADER, "paper: steps", *map(title_of, ours)]
    rows = [_row_1(results, arm, theirs, ours, turn) for arm in results.arms]
    shown_beside = {row for row in (paper.published(arm.spec) for arm in results.arms) if row}
    before, after = [EMPTY] * (len(theirs) + 1), [EMPTY] * len(ours)
    others = (row for row in paper.TABLE_1 if row not in shown_beside)
    rows += [[Cell(f"{row.title}: paper only"), *before, *paper_cells(row), *after] for row in others]
    caption = f"Table 1: all methods at round {turn}; [95 % interval, cases resampled]. {N_NOTE} {paper.NOTE}"
    return Table(caption, header, rows)


def _scored_at(results: Results, turn: int) -> tuple[list[Info], list[Info]]:
    """The paper's metrics and ours with ground truth, as far as a method has them at ``turn``."""

    theirs, ours = choice.of_group(results, choice.PAPER), choice.present(results, choice.HEADLINES)
    scored = partial(any_at, results, turn=turn)
    return list(filter(scored, theirs)), list(filter(scored, ours))


def any_at(results: Results, info: Info, turn: int) -> bool:
    """Whether a method has a number of a metric at a turn."""
    return any(
        arm.sets.get(turn, {}).get(info.name) is not None
        or bool(np.isfinite(results.values(arm, info.name)[:, turn - 1]).any())
        for arm in results.arms
    )


def _row_1(results: Results, arm: Arm, theirs: Sequence[Info], ours: Sequence[Info], turn: int) -> list[Cell]:
    steps = arm.spec.params.get("steps")
    before, after = ([cell_at(results, arm, info, turn) for info in infos] for infos in (theirs, ours))
    published = paper_cells(paper.published(arm.spec))
    return [Cell(arm.label), EMPTY if steps is None else Cell(str(steps)), *before, *published, *after]


def cell_at(results: Results, arm: Arm, info: Info, turn: int, *, interval: bool = True) -> Cell:
    """A metric at one turn: the mean of the cases' numbers with its interval, or the number of the whole set."""
    value = arm.sets.get(turn, {}).get(info.name)
    if value is None:
        values = results.values(arm, info.name)[:, turn - 1 : turn]
        return interval_cell(info, mean_of(values)) if interval else mean_cell(info, values)
    pictures = sum(arm.picture(case, turn) is not None for case in results.cases)
    return Cell(shown(info, value), f"n={pictures}")


def paper_cells(row: paper.Published | None) -> list[Cell]:
    """The paper's FID, CLIP-T, CLIP-I and steps; dashes for a method that it has not."""
    if row is None:
        return [EMPTY] * 4
    steps = EMPTY if row.steps is None else Cell(str(row.steps))
    return [Cell(f"{row.fid:.3f}"), Cell(f"{row.clip_t:.3f}"), Cell(f"{row.clip_i:.3f}"), steps]


def table_2(results: Results) -> list[Table]:
    """The paper's Table 2 for every setting of ``multi_turn`` that was also run with one thing changed."""
    bases = {f"{arm.spec.method} {arm.spec.params}": arm for arm in reversed(results.arms)}
    found = (_table_2_of(results, base) for base in reversed(bases.values()))
    return [table for table in found if table is not None]


def _table_2_of(results: Results, base: Arm) -> Table | None:
    changed = [(arm, what) for arm in results.arms if (what := paper.changed(arm.spec, base.spec)) is not None]
    if not changed:
        return None
    turn = min(paper.ROUND, results.turns)
    theirs, ours = _scored_at(results, turn)
    rows = [
        [Cell(f"{what}: {arm.label}"), *marked(theirs), *paper_cells(paper.TABLE_2[what])[:3], *marked(ours)]
        for arm, what in [*changed, (base, paper.FULL)]
        for marked in [partial(_marked_at, results, arm, base, turn)]
    ]
    caption = (
        f"Table 2: {base.label} with one thing changed, at round {turn}. ▲ better and ▼ worse than the full method "
        f"beyond noise (paired bootstrap over cases). {N_NOTE} {paper.NOTE}"
    )
    return Table(caption, ["method", *map(title_of, theirs), *PAPER_HEADER, *map(title_of, ours)], rows)


def _marked_at(results: Results, arm: Arm, base: Arm, turn: int, infos: Sequence[Info]) -> list[Cell]:
    """The metrics of an arm at a turn, marked where they differ from the base's beyond noise."""
    cells = []
    for info in infos:
        values, others = (results.values(one, info.name)[:, turn - 1 : turn] for one in (arm, base))
        cell = cell_at(results, arm, info, turn, interval=False)
        said = verdict(difference(values, others), info.higher_is_better)
        cells.append(Cell(cell.text, cell.note, _MARKS.get(said)))
    return cells


def turn_groups(turns: int) -> list[tuple[str, range]]:
    """Columns of a table over the turns: each turn, or groups of five if there are many."""
    if turns < GROUP_FROM:
        return [(f"turn {turn}", range(turn - 1, turn)) for turn in range(1, turns + 1)]
    starts = range(1, turns + 1, GROUP)
    ends = [min(start + GROUP - 1, turns) for start in starts]
    return [(_turns(start, end), range(start - 1, end)) for start, end in zip(starts, ends, strict=True)]


def _turns(first: int, last: int) -> str:
    return f"turn {first}" if first == last else f"turns {first} to {last}"


def per_turn(results: Results, info: Info) -> Table:
    """One metric over the turns."""
    groups = turn_groups(results.turns)

    def cells(arm: Arm) -> Iterable[Cell]:
        values = results.values(arm, info.name)
        return (mean_cell(info, values[:, list(group)]) for _, group in groups)

    return _by_method(results, f"{title_of(info)}, by turn. {N_NOTE}", [name for name, _ in groups], cells)


def per_kind(results: Results, info: Info, kinds: Sequence[Sequence[str]], by: str) -> Table:
    """One metric by what ``kinds``, (cases, turns), calls each turn; ``by`` says what that is."""
    given = np.array(kinds)
    names = sorted({str(name) for name in np.unique(given)} - {""})

    def cells(arm: Arm) -> Iterable[Cell]:
        values = results.values(arm, info.name)
        return (mean_cell(info, values[given == name]) for name in names)

    return _by_method(results, f"{title_of(info)}, by {by}. {N_NOTE}", names, cells)


def rounds(results: Results, info: Info) -> Table:
    """One metric after 1, 2, 4, 8 and 16 rounds."""
    chosen = [number for number in choice.ROUNDS if number <= results.turns]

    def cells(arm: Arm) -> Iterable[Cell]:
        return (cell_at(results, arm, info, number, interval=False) for number in chosen)

    return _by_method(
        results, f"{title_of(info)}, after so many rounds. {N_NOTE}", [f"round {n}" for n in chosen], cells
    )


def costs(results: Results) -> Table:
    """What a turn costs on average."""
    infos = choice.of_group(results, choice.COST)

    def cells(arm: Arm) -> Iterable[Cell]:
        return (mean_cell(info, results.values(arm, info.name)) for info in infos)

    caption = (
        "A turn's cost. NFE counts calls of the network, sample evaluations the pictures in them. Seconds are wall "
        f"time, a batch's divided by its pictures; on a CPU, memory is that of the whole process. {N_NOTE}"
    )
    return _by_method(results, caption, list(map(title_of, infos)), cells)


def _by_method(
    results: Results, caption: str, columns: Sequence[str], cells: Callable[[Arm], Iterable[Cell]]
) -> Table:
    return Table(caption, ["method", *columns], [[Cell(arm.label), *cells(arm)] for arm in results.arms])


def of_infos(results: Results, infos: Sequence[Info]) -> Table | None:
    """Means over all turns of some metrics; None if there are none."""
    if not infos:
        return None

    def cells(arm: Arm) -> Iterable[Cell]:
        return (mean_cell(info, results.values(arm, info.name)) for info in infos)

    return _by_method(results, f"Means over all turns. {N_NOTE}", list(map(title_of, infos)), cells)


def facts(name: str, pairs: Iterable[tuple[str, str]]) -> Table:
    """What is known of a run, line by line."""
    return Table(f"Run {name}.", ["what", "value"], [[Cell(what), Cell(value)] for what, value in pairs], code=True)
