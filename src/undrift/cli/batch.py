"""``undrift batch``: many pictures from one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from undrift.cli.captions import caption_option
from undrift.cli.cluster import ray_option
from undrift.cli.language_options import LanguageChoice, language_options
from undrift.cli.options import MethodChoice, ModelChoice, common, json_option, method_options, model_options
from undrift.cli.output import emit, say
from undrift.cli.paths import Folder
from undrift.cli.text import line
from undrift.errors import Cancelled, InputError

if TYPE_CHECKING:
    from undrift.backbones.base import Backbone
    from undrift.services.batch.making import Order, Result
    from undrift.services.batch.table import Item
    from undrift.services.captions import Captioner


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "-o",
    type=Folder(),
    help="Folder of the results; one that is there is gone on with. Default: the table's name.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of turns whose row names none."
)
@ray_option("Work on a Ray cluster that sees the folder and the pictures")
@caption_option
@language_options
@model_options
@method_options
@json_option
@common
@click.pass_context
def batch(
    context: click.Context,
    table: Path,
    output: Path | None,
    seed: int,
    ray: str | None,
    caption_model: str | None,
    chosen_language: LanguageChoice,
    chosen_model: ModelChoice,
    chosen_method: MethodChoice,
    as_json: bool,
) -> None:
    """Edit every picture of TABLE, a .csv or .jsonl file with a picture, its prompt and its turns in each row.

    Each row becomes a session. Stopped at any time, the same command goes on where it was; rows that failed are tried
    again and stop none of the others. report.html shows what became of them.
    """
    from undrift.bench.records import RunFolder
    from undrift.bench.runner.lock import held
    from undrift.cli import execution
    from undrift.methods.registry import Chosen
    from undrift.services.batch.making import Order, check_folder, method_for
    from undrift.services.batch.report import PAGE, write_report
    from undrift.services.batch.table import read_table

    items = read_table(table)
    folder = output or Path(table.stem)
    check_folder(folder)
    execution.name_models(chosen_method)
    chosen = execution.choose_method(chosen_method)
    if not isinstance(chosen, Chosen):
        raise InputError("--recorded-as makes one turn again: leave it out")
    language = chosen_language.opened()
    captioner = None if ray else _captioner(items, caption_model)
    order = Order(folder, chosen, seed, language, captioner)
    for item in items:
        method_for(item, order)
    backbone = None if ray else execution.load_model(chosen_model)
    (folder / "sessions").mkdir(parents=True, exist_ok=True)
    with held(RunFolder(folder)):
        if backbone is not None:
            results = _made(items, order, backbone)
        else:
            needed = caption_model if any(not item.row.prompt for item in items) else None
            models = (needed, chosen_method.editor)
            results = _made_on_ray(str(ray), items, order, chosen_model, chosen_language, models)
        write_report(folder, results)
    failed = [result for result in results if result.error]
    for result in results:
        if result.captioned and result.turns:
            said = line(result.turns[0].prompt)
            say(f"note: {result.item.id} shows, says the caption model {result.captioned}: {said}", err=True)
    lines = [f"{result.item.id}: {result.error}" for result in failed]
    lines.append(f"{len(results) - len(failed)} of {len(results)} rows are finished: {folder / PAGE}")
    told = {"rows": len(results), "failed": {each.item.id: each.error for each in failed}, "folder": str(folder)}
    emit(as_json, told, "\n".join(lines))
    if failed:
        context.exit(1)


def _captioner(items: list[Item], model: str | None) -> Captioner | None:
    """The captioning model, loaded before any work if a row leaves its prompt open; None if none is needed."""
    if model is None or all(item.row.prompt for item in items):
        return None
    from undrift.services.captions import Captioner

    return Captioner(model)


def _made(items: list[Item], order: Order, backbone: Backbone) -> list[Result]:
    from undrift.cli.bench_progress import bar
    from undrift.cli.options import shell
    from undrift.cli.progress import StopOnInterrupt
    from undrift.services.batch.making import make

    results: list[Result] = []
    try:
        with (
            StopOnInterrupt() as stop,
            bar("batch", sum(len(item.row.turns) for item in items), shell().quiet) as progress,
        ):
            for result in make(
                items, order, backbone, [stop], lambda item, text: progress.advance(1, f"{item.id}: {text}")
            ):
                results.append(result)
                progress.advance(len(result.item.row.turns) - max(0, len(result.turns) - 1))
                stop.check()
    except (Cancelled, KeyboardInterrupt):
        raise Cancelled(f"stopped: {len(results)} of {len(items)} rows are done; the same command goes on") from None
    return results


def _made_on_ray(
    address: str,
    items: list[Item],
    order: Order,
    model: ModelChoice,
    language: LanguageChoice,
    models: tuple[str | None, str | None],
) -> list[Result]:
    from undrift.backbones.locate import LITTLEWORLD
    from undrift.cli.bench_progress import bar
    from undrift.cli.options import shell
    from undrift.cli.progress import StopOnInterrupt
    from undrift.services.batch.on_ray import PlainOrder, RowsOnRay, absolute

    chosen = order.chosen
    asked = PlainOrder(
        order.folder.absolute(),
        absolute(items),
        chosen.method.name,
        chosen.preset,
        dict(chosen.overrides),
        chosen.dial,
        order.seed,
        language.llm,
        language.llm_model,
        *models,
    )
    loading = {**model.arguments, "name": model.model or LITTLEWORLD}
    with (
        StopOnInterrupt() as stop,
        RowsOnRay(address, loading, stop.check) as cluster,
        bar("batch", len(items), shell().quiet) as progress,
    ):
        return cluster.make(
            asked, order.folder, lambda result: progress.advance(1, f"{result.item.id}: {result.error or 'finished'}")
        )
