"""Commands of ``undrift bench`` around data: check it, write prompts for it, take in pictures made elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undrift.cli.options import Shell, common, json_option
from undrift.cli.output import emit
from undrift.cli.paths import Folder
from undrift.errors import InputError

if TYPE_CHECKING:
    from undrift.bench.make_turns.make import Done, Writer


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--subset", is_flag=True, help="Do not ask for what a whole data set would have.")
@json_option
@common
@click.pass_context
def doctor(context: click.Context, path: Path, subset: bool, as_json: bool) -> None:
    """Say all that is wrong with the data at PATH.

    PATH is PIE-Bench, PIE-Bench++, MSE-Bench, LME-Bench, EdiVal, MagicBrush, a folder of multi-turn prompts, or of
    pictures to import.
    One line for each thing that is wrong, with what to do. Exit code 1 if anything is.
    """
    from undrift.bench.doctor.examine import examine

    health = examine(path, whole=not subset)
    found = [{"where": f.where, "problem": f.problem, "fix": f.fix} for f in health.findings]
    verdict = f"{len(found)} problem{'s' if len(found) > 1 else ''}" if found else "nothing is wrong"
    summary = f"{path} is {health.layout}: {health.checked}, {verdict}"
    emit(
        as_json,
        {"path": path, "layout": health.layout, "checked": health.checked, "problems": found},
        "\n".join([*map(str, health.findings), summary]),
    )
    if found:
        context.exit(1)


@click.command("make-turns")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=Folder(), help="Folder. Default: MTC_prompts in DATA.")
@click.option(
    "--turns", type=int, metavar="N", default=5, show_default=True, help="Turns a picture, its own edit included."
)
@click.option("--seed", type=int, metavar="N", default=0, show_default=True, help="Another seed, other turns.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N pictures.")
@click.option("--llm", metavar="URL", help="OpenAI-compatible address of a language model, up to /v1.")
@click.option("--llm-model", metavar="NAME", help="The model's name there.")
@click.option(
    "--llm-timeout",
    type=float,
    metavar="SECONDS",
    default=120.0,
    show_default=True,
    help="How long an answer may take.",
)
@json_option
@common
@click.pass_context
def make_turns(
    context: click.Context,
    data: Path,
    output: Path | None,
    turns: int,
    seed: int,
    limit: int | None,
    llm: str | None,
    llm_model: str | None,
    llm_timeout: float,
    as_json: bool,
) -> None:
    """Write multi-turn prompts for PIE-Bench.

    DATA is PIE-Bench or PIE-Bench++. Each picture's own edit comes first, then turns of other types: from templates,
    or by a language model with --llm (its key, if it needs one, in UNDRIFT_LLM_KEY or OPENAI_API_KEY). Pictures that
    have their prompts are left alone, so that stopped work goes on.
    """
    from undrift.bench.data.prompts import FOLDER
    from undrift.bench.make_turns import make

    folder = output or data / FOLDER
    writer = _writer(llm, llm_model, llm_timeout, seed)
    entries = make.read_pictures(data)[:limit]
    done = list(_watched(context, make.make_turns(entries, folder, writer, turns), len(entries)))
    _report_turns(done, folder, as_json)


@click.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--output", "-o", required=True, type=Folder(), help="Run folder to make.")
@json_option
@common
def import_pictures(folder: Path, output: Path, as_json: bool) -> None:
    """Make a run of pictures that another system made.

    pictures.json in FOLDER says which suite they answer and where each lies; see docs/data.md. The run is then scored
    and reported like any other. Pictures that are missing or of another size are recorded as errors.
    """
    from undrift.bench.importing import import_pictures as run_import

    imported = run_import(folder, output)
    lost = [{"case": p.case, "turn": p.turn, "error": p.why} for p in imported.problems]
    lines = [f"{p.case}, turn {p.turn}: {p.why}" for p in imported.problems]
    after = f", {imported.left_out} after them left out" if lost else ""
    counts = f"{imported.taken} pictures taken, {len(lost)} bad{after}"
    lines.append(f"{output}: {counts}; score it: undrift bench score {output}")
    told = {"run": output, "taken": imported.taken, "left_out": imported.left_out, "problems": lost}
    emit(as_json, told, "\n".join(lines))


def _writer(llm: str | None, llm_model: str | None, timeout: float, seed: int) -> Writer:
    from undrift.bench.make_turns.llm import ModelWriter
    from undrift.bench.make_turns.templates import TemplateWriter
    from undrift.instructions.chat_model import NOBODY_WAITS, ChatModel, key_of_environment

    if (llm is None) != (llm_model is None):
        raise InputError("--llm and --llm-model belong together: the address of a language model, and its name there")
    if llm is None or llm_model is None:
        return TemplateWriter(seed)
    return ModelWriter(ChatModel(llm, llm_model, key_of_environment(), timeout, NOBODY_WAITS), seed)


def _watched(context: click.Context, done: Iterator[Done], total: int) -> Iterable[Done]:
    """The same with a progress bar on stderr."""
    shell = context.find_object(Shell)
    hidden = not sys.stderr.isatty() or (shell is not None and shell.quiet)
    with click.progressbar(done, length=total, label="turns", file=sys.stderr, hidden=hidden) as bar:
        yield from bar


def _report_turns(done: list[Done], folder: Path, as_json: bool) -> None:
    counts = {state: sum(one.state == state for one in done) for state in ("written", "there", "dropped")}
    dropped = [{"id": one.id, "why": one.why} for one in done if one.state == "dropped"]
    lines = [f"{one['id']}: dropped, {one['why']}" for one in dropped]
    lines.append(
        f"{folder}: {counts['written']} written, {counts['there']} there already, {counts['dropped']} dropped"
    )
    emit(as_json, {"folder": folder, **counts, "why": dropped}, "\n".join(lines))
