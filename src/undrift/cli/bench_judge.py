"""``undrift bench judge`` and ``undrift bench export``: runs whose right pictures nobody knows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undrift.cli.options import Shell, common, json_option
from undrift.cli.output import emit, say
from undrift.cli.paths import Folder
from undrift.errors import InputError

if TYPE_CHECKING:
    from undrift.bench.judging.judge import Judged
    from undrift.bench.statistics import Estimate
    from undrift.instructions.chat_model import ChatModel

TURNS = (3, 5, 8, 10)
"""Rates are printed at these turns, as LME-Bench does, and at the last."""

Price = tuple[float, float]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--methods", metavar="LIST", help="Labels with commas between. Default: all of the run.")
@click.option("--llm", required=True, metavar="URL", help="OpenAI-compatible address of a model that sees pictures.")
@click.option("--llm-model", required=True, metavar="NAME", help="The model's name there.")
@click.option(
    "--llm-timeout", type=float, metavar="SECONDS", default=120.0, show_default=True, help="How long it may take."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N cases.")
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Cases at a time.")
@click.option("--price", type=(float, float), metavar="IN OUT", help="Of a million tokens, to reckon what was spent.")
@json_option
@common
@click.pass_context
def judge(
    context: click.Context,
    run: Path,
    methods: str | None,
    llm: str,
    llm_model: str,
    llm_timeout: float,
    limit: int | None,
    workers: int,
    price: Price | None,
    as_json: bool,
) -> None:
    """Have a model judge RUN by LME-Bench's protocol: success and collapse turn by turn.

    A turn succeeds if the judge gives 7 or more of 10 both for what was asked and for what was not; the success at
    turn k is the share of sessions in which all turns up to k did. A session has collapsed from the first of two
    broken frames in a row on. Busy servers are asked again, answers are kept in RUN/judge, so that stopped work goes
    on, and what it cost is printed. A key is read from UNDRIFT_LLM_KEY or OPENAI_API_KEY.
    """
    from undrift.bench.judging.judge import judge_run, questions_left
    from undrift.bench.records import RunFolder
    from undrift.instructions.chat_model import NOBODY_WAITS, ChatModel, key_of_environment

    folder = RunFolder(run)
    labels = [word.strip() for word in (methods or "").split(",") if word.strip()]
    model = ChatModel(llm, llm_model, key_of_environment(), llm_timeout, NOBODY_WAITS)
    known = [spec.label for spec in folder.manifest().methods]
    if unknown := [label for label in labels if label not in known]:
        raise InputError(f"no method '{unknown[0]}' in '{run}': known are {', '.join(known)}")
    left = questions_left(folder, labels, model.name, limit)
    say(f"at most {left} answers of {model.name} are needed; the others are in {run / 'judge'}", err=True)
    shell = context.find_object(Shell)
    hidden = not sys.stderr.isatty() or (shell is not None and shell.quiet)
    with click.progressbar(
        judge_run(folder, labels, model, limit, workers), label="cases", file=sys.stderr, hidden=hidden
    ) as bar:
        judged = list(bar)
    _report(judged, labels or known, model, price, as_json)
    if any(each.why is not None for each in judged):
        context.exit(1)


@click.command()
@click.argument("run", metavar="RUN:LABEL")
@click.option("--output", "-o", required=True, type=Folder(), help="New folder.")
@click.option("--layout", metavar="NAME", help="lme-bench, edival or plain. Default: the suite's own.")
@json_option
@common
def export(run: str, output: Path, layout: str | None, as_json: bool) -> None:
    """Write a method's pictures as another benchmark's own evaluator reads them.

    \b
    undrift bench export runs/lme-bench-default:undrift -o samples
    """
    from undrift.bench.exporting import export as run_export
    from undrift.bench.records import RunFolder

    path, _, label = run.rpartition(":")
    if not path:
        raise InputError(f"'{run}' names no method: expected RUN:LABEL, such as runs/lme-bench-default:undrift")
    turns = run_export(RunFolder(Path(path)), label, output, layout)
    emit(as_json, {"output": output, "turns": turns}, f"{output}: {turns} turns and their originals")


def _report(
    judged: Sequence[Judged], labels: Sequence[str], model: ChatModel, price: Price | None, as_json: bool
) -> None:
    from undrift.bench.judging.judge import rates

    last = max(each.case.turns for each in judged)
    turns = sorted({turn for turn in TURNS if turn < last} | {last})
    lines, told = [], {}
    for label in labels:
        of_label = [each for each in judged if each.label == label]
        at = {turn: rates(of_label, turn) for turn in turns}
        lines += [f"{label}, {sum(each.why is None for each in of_label)} cases"]
        lines += [
            f"  turn {turn}: success {_said(success)}, collapsed {_said(gone)}"
            for turn, (success, gone) in at.items()
        ]
        told[label] = {
            str(turn): {"success": _value(success), "collapsed": _value(gone)} for turn, (success, gone) in at.items()
        }
    unjudged = [{"method": each.label, "case": each.case.id, "why": each.why} for each in judged if each.why]
    lines += [f"{one['method']}, {one['case']}: not judged, {one['why']}; repeat the command" for one in unjudged]
    spent = model.spent
    cost = None if price is None else (spent.read * price[0] + spent.written * price[1]) / 1e6
    lines += [
        f"{spent.requests} requests, {spent.read} tokens read and {spent.written} written"
        + ("" if cost is None else f", {cost:.2f} at the price given")
    ]
    record = {"requests": spent.requests, "read": spent.read, "written": spent.written, "cost": cost}
    emit(as_json, {"judge": model.name, "rates": told, "unjudged": unjudged, "spent": record}, "\n".join(lines))


def _said(estimate: Estimate) -> str:
    bounds = f" [{estimate.low:.0f}, {estimate.high:.0f}]" if estimate.bounded else ""
    return f"{estimate.mean:.0f} %{bounds}" if estimate.cases else "-"


def _value(estimate: Estimate) -> dict[str, Any]:
    low, high = (estimate.low, estimate.high) if estimate.bounded else (None, None)
    return {"mean": estimate.mean if estimate.cases else None, "low": low, "high": high, "cases": estimate.cases}
