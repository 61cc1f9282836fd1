"""``undrift bench analyse-sites``: which of a model's layers show where an edit is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undrift.cli.options import ModelChoice, common, json_option, model_options, shell
from undrift.cli.output import emit

if TYPE_CHECKING:
    from undrift.bench.sites import Study
    from undrift.bench.statistics import Estimate


@click.command("analyse-sites")
@click.option(
    "--suite",
    default="standard",
    show_default=True,
    metavar="NAME[:VARIANT]",
    help="Whose pictures, prompts and masks, as for undrift bench run.",
)
@click.option("--data", type=click.Path(path_type=Path), metavar="PATH", help="The suite's folder or file.")
@model_options
@click.option(
    "--sigma",
    "sigmas",
    type=float,
    multiple=True,
    metavar="SIGMA",
    help="How much noise the pictures get, between 0 and 1; repeatable. Default: 0.75, 0.5 and 0.25.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Turns that go through the network together.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N cases.")
@click.option("--turns", type=click.IntRange(1), metavar="N", help="Only the first N turns of each.")
@json_option
@common
def analyse_sites(
    suite: str,
    data: Path | None,
    chosen_model: ModelChoice,
    sigmas: tuple[float, ...],
    batch: int,
    limit: int | None,
    turns: int | None,
    as_json: bool,
) -> None:
    """Measure which layers of a model show where an edit is.

    Of every layer in which the picture attends to the prompt: the attention that an image token gives the new words,
    the activation of the map made of it, and the intersection over union of that map and the turn's true mask. The
    last lines are the mask that multi_turn makes of its layers, and one of the whole picture: what a layer that shows
    nothing reaches.
    """
    from undrift.bench.runner.start import suite_spec
    from undrift.bench.sites import SIGMAS, study
    from undrift.bench.suites.registry import open_suite
    from undrift.cli.bench_progress import bar
    from undrift.cli.execution import load_model

    cases = open_suite(suite_spec(suite, data, limit, turns))
    backbone = load_model(chosen_model)
    with bar("turns", sum(case.turns for case in cases), shell().quiet) as shown:
        found = study(backbone, cases, sigmas or SIGMAS, batch, shown.advance)
    emit(as_json, _value(backbone.identity.name, found), "\n".join(_lines(found)))


HEADS = ("attention", "activation", "overlap", "overlap at size")


def _lines(found: Study) -> Iterator[str]:
    width = max(len(row.name) for row in found.rows)
    yield f"{'site':{width}}  maps" + "".join(f"  {head:>22}" for head in HEADS)
    for row in found.rows:
        cells = (row.attention, row.activation, row.overlap, row.overlap_at_size)
        yield f"{row.name:{width}}  {'yes' if row.makes_maps else '':4}" + "".join(f"  {_cell(c):>22}" for c in cells)
    left = f", {found.left_out} left out (no mask is known, or no word is new)" if found.left_out else ""
    yield f"means over {found.turns} turns{left}; in brackets 95 % intervals over cases"


def _cell(estimate: Estimate) -> str:
    if not estimate.turns:
        return "-"
    bounds = f" ({estimate.low:.3f} to {estimate.high:.3f})" if estimate.bounded else ""
    return f"{estimate.mean:.3f}{bounds}"


def _value(model: str, found: Study) -> dict[str, Any]:
    rows = [
        {
            "site": row.name,
            "makes_maps": row.makes_maps,
            "attention": _bounds(row.attention),
            "activation": _bounds(row.activation),
            "overlap": _bounds(row.overlap),
            "overlap_at_size": _bounds(row.overlap_at_size),
        }
        for row in found.rows
    ]
    return {"model": model, "turns": found.turns, "left_out": found.left_out, "sites": rows}


def _bounds(estimate: Estimate) -> list[float] | None:
    """Mean, and the interval where there is one."""
    if not estimate.turns:
        return None
    return [estimate.mean, estimate.low, estimate.high] if estimate.bounded else [estimate.mean]
