"""``undrift bench``: editors measured over sequences of edits."""

from __future__ import annotations

from pathlib import Path

import click

from undrift.cli import bench_data, bench_judge, bench_report, bench_sites
from undrift.cli.cluster import ray_option
from undrift.cli.options import Handover, ModelChoice, common, handover_option, json_option, model_options
from undrift.cli.output import say
from undrift.cli.paths import Folder

RUNS = Path("runs")


@click.group(invoke_without_command=True)
@click.pass_context
def bench(context: click.Context) -> None:
    """Measure editors over sequences of edits.

    \b
    undrift bench run --suite quick --methods multi_turn,fireflow,no_edit
    undrift bench report runs/littleworld-quick
    """
    if context.invoked_subcommand is None:
        say(context.get_help())


metrics_option = click.option(
    "--metrics", metavar="LIST", help="Names with commas between. Default: all that apply and can run here."
)


@bench.command()
@click.option(
    "--suite",
    required=True,
    metavar="NAME[:VARIANT]",
    help="What to edit: quick, standard, ten, long, rich, reconstruct, no-op, cycle of LittleWorld, or a data set's.",
)
@click.option("--data", type=click.Path(path_type=Path), metavar="PATH", help="The suite's folder or file.")
@click.option(
    "--methods",
    default="table1",
    show_default=True,
    metavar="LIST",
    help="With commas between: NAME, NAME:PRESET, NAME:PRESET:PARAMETER=VALUE;label=WORD, or a list: all, table1, "
    "table1-sd, table2, pieces, bounds (the floor, and FlowEdit told the true masks).",
)
@model_options
@click.option(
    "--output",
    "-o",
    type=Folder(),
    help="Folder of the run; one that is there is gone on with. Default: runs/SUITE-VARIANT.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Added to every case's."
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Pictures that go through the network together.",
)
@handover_option
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N cases.")
@click.option("--turns", type=click.IntRange(1), metavar="N", help="Only the first N turns of each.")
@metrics_option
@click.option("--no-score", is_flag=True, help="Only make the pictures.")
@ray_option("Work on a Ray cluster that sees the run's folder")
@json_option
@common
def run(
    suite: str,
    data: Path | None,
    methods: str,
    chosen_model: ModelChoice,
    output: Path | None,
    seed: int,
    batch: int,
    handover: Handover,
    limit: int | None,
    turns: int | None,
    metrics: str | None,
    no_score: bool,
    ray: str | None,
    as_json: bool,
) -> None:
    """Run methods over a suite and score every turn.

    Stopped at any time, the same command goes on where it was. Methods that the folder lacks are added to it; what
    failed is tried again.
    """
    from undrift.backbones.locate import LITTLEWORLD
    from undrift.bench.records import RunFolder
    from undrift.bench.runner.methods import split_words
    from undrift.bench.runner.start import Order, suite_spec
    from undrift.cli import bench_execution

    order = Order(
        suite=suite_spec(suite, data, limit, turns),
        words=split_words(methods),
        model=chosen_model.model or LITTLEWORLD,
        seed=seed,
        handover=handover,
        batch=batch,
        as_published=not any(chosen_model.files.values()),
    )
    folder = RunFolder(output or RUNS / f"{order.suite.name}-{order.suite.variant}")
    bench_execution.run(order, folder, chosen_model, None if no_score else _names(metrics, ()), ray, as_json)


@bench.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@metrics_option
@click.option("--again", is_flag=True, help="Also where there are scores already.")
@json_option
@common
def score(folder: Path, metrics: str | None, again: bool, as_json: bool) -> None:
    """Give every turn of RUN the scores that it lacks."""
    from undrift.bench.records import RunFolder
    from undrift.cli import bench_execution

    bench_execution.score(RunFolder(folder), _names(metrics, ()), again, as_json)


@bench.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@json_option
@common
def status(folder: Path, as_json: bool) -> None:
    """How far RUN is, method by method."""
    from undrift.bench.records import RunFolder
    from undrift.cli import bench_execution

    bench_execution.status(RunFolder(folder), as_json)


def _names(text: str | None, all_of_them: tuple[str, ...]) -> tuple[str, ...]:
    return all_of_them if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


for _command in (
    bench_report.report,
    bench_report.table,
    bench_report.compare,
    bench_judge.judge,
    bench_judge.export,
    bench_sites.analyse_sites,
    bench_data.doctor,
    bench_data.make_turns,
    bench_data.import_pictures,
):
    bench.add_command(_command)
