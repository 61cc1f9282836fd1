"""``undrift bench report``, ``table`` and ``compare``: runs made readable."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from undrift.cli.options import common, json_option
from undrift.cli.output import emit
from undrift.cli.paths import Folder


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--output", "-o", type=Folder(), help="Folder to write to; default: RUN/report.")
@click.option("--reference", "-r", metavar="LABEL", help="Compare with this method; default: undrift.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many cases of the suite.")
@json_option
@common
def report(
    runs: tuple[Path, ...], output: Path | None, reference: str | None, limit: int | None, as_json: bool
) -> None:
    """Write runs of one suite as a single HTML page, and as Markdown.

    \b
    undrift bench report runs/standard
    undrift bench report runs/mine runs/theirs -o report --reference multi_turn
    """
    from undrift.bench.report.write import write_report

    written = write_report(runs, output, reference, limit)
    emit(as_json, {"html": written.html, "markdown": written.markdown}, f"{written.html}\n{written.markdown}")


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many cases of the suite.")
@json_option
@common
def table(runs: tuple[Path, ...], limit: int | None, as_json: bool) -> None:
    """Print what runs of one suite measured: the paper's Table 1, then freeze against drift, with intervals.

    Lines are as wide as the terminal, or as COLUMNS says.

    \b
    undrift bench table runs/table1-quick runs/table1-quick-sd
    """
    from undrift.bench.report.overview import as_text, overview
    from undrift.bench.report.results import read_results

    results = read_results(runs, limit)
    tables = [
        {
            "model": one.model,
            "caption": each.caption,
            "header": list(each.header),
            "rows": [[cell.words for cell in row] for row in each.rows],
        }
        for one in overview(results)
        for each in one.tables
    ]
    emit(as_json, {"tables": tables}, as_text(results, shutil.get_terminal_size().columns))


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many cases of the suite.")
@click.option("--fail-on-worse", is_flag=True, help="Exit with code 1 if B is worse than A in anything.")
@json_option
@common
@click.pass_context
def compare(
    context: click.Context, first: str, second: str, limit: int | None, fail_on_worse: bool, as_json: bool
) -> None:
    """Say what differs between the runs A and B beyond noise.

    A and B are run folders, compared method by method of the same name, or single methods as RUN:LABEL.

    \b
    undrift bench compare runs/before runs/after --fail-on-worse
    undrift bench compare runs/standard:flowedit runs/standard:multi_turn
    """
    from undrift.bench.report.compare import as_text
    from undrift.bench.report.compare import compare as compared

    changes = compared(first, second, limit)
    emit(as_json, {"changes": [change.as_json() for change in changes]}, as_text(changes))
    if fail_on_worse and any(change.verdict == "worse" for change in changes):
        context.exit(1)
