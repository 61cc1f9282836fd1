"""What a terminal shows of some runs: the rows of the paper's Table 1 first, model by model, with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from textwrap import fill

from undrift.bench.report import choice, paper, tables
from undrift.bench.report.columns import in_columns
from undrift.bench.report.document import Cell, Table
from undrift.bench.report.results import Arm, Info, Results

OVER_ALL = (choice.FREEZE, choice.DRIFT, "edit-score", "truth-psnr-outside")


@dataclass(frozen=True)
class OfModel:
    """The tables of the methods that one model ran."""

    model: str
    tables: tuple[Table, ...]


def overview(results: Results) -> list[OfModel]:
    """The paper's measures at its round beside its numbers, then freeze against drift over all turns."""
    models = dict.fromkeys(arm.manifest.model for arm in results.arms)
    return [OfModel(model, tuple(_tables(_part(results, model)))) for model in models]


def as_text(results: Results, width: int) -> str:
    """The overview in lines of at most ``width`` characters, and which rows of the paper nobody ran."""
    parts = [
        f"== {one.model} ==\n\n" + "\n\n".join(in_columns(table, width) for table in one.tables)
        for one in overview(results)
    ]
    run = {paper.published(arm.spec) for arm in results.arms}
    missing = [row.title for row in paper.TABLE_1 if row not in run]
    unseen = fill(f"In the paper and not run here: {', '.join(missing)}.", width, break_long_words=False)
    return "\n\n".join([*parts, *([unseen] if missing else [])])


def _part(results: Results, model: str) -> Results:
    """The arms of one model, by their names in its run, those that the paper has first and in its order."""
    own = [replace(arm, label=arm.spec.label) for arm in results.arms if arm.manifest.model == model]
    return replace(results, arms=tuple(sorted(own, key=_place)))


def _place(arm: Arm) -> int:
    row = paper.published(arm.spec)
    return len(paper.TABLE_1) if row is None else paper.TABLE_1.index(row)


def _tables(results: Results) -> Iterator[Table]:
    turn = min(paper.ROUND, results.turns)
    infos = [info for info in choice.paper_s_own(results) if tables.any_at(results, info, turn)]
    what = f"{results.suite.name}, {results.suite.variant}, {len(results.cases)} cases"
    rows = [_row(results, arm, infos, turn) for arm in results.arms]
    caption = (
        f"The paper's Table 1 at round {turn} of {what}; [95 % interval, cases resampled]. The paper's numbers are "
        "of other data, not comparable."
    )
    yield Table(caption, ["method", *map(tables.title_of, infos), *tables.PAPER_HEADER], rows)
    over_all = tables.headline(results, choice.present(results, OVER_ALL))
    if len(over_all.header) > 1:
        yield over_all


def _row(results: Results, arm: Arm, infos: list[Info], turn: int) -> list[Cell]:
    cells = [tables.cell_at(results, arm, info, turn) for info in infos]
    return [Cell(arm.label), *cells, *tables.paper_cells(paper.published(arm.spec))[:3]]
