"""Starting a session and adding a turn to it."""

from __future__ import annotations

from pathlib import Path

import click

from undrift.cli.options import (
    MethodChoice,
    ModelChoice,
    common,
    handover_option,
    json_option,
    method_options,
    model_options,
    output_option,
    parse_words,
    seed_option,
    session_option,
)
from undrift.cli.output import emit
from undrift.cli.sessions import DEFAULT_FOLDER, drift_text, edit_command, open_session, turn_json, turn_line


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--prompt", "-p", required=True, help="What the picture shows.")
@session_option
@model_options
@json_option
@common
def new(image: Path, prompt: str, session: Path | None, chosen_model: ModelChoice, as_json: bool) -> None:
    """Start a session with IMAGE as its source picture."""
    from undrift.cli import work
    from undrift.pictures import read_picture
    from undrift.session.engine import start_session

    picture = read_picture(image)
    backbone = work.load_model(chosen_model)
    work.advise(backbone, picture, [prompt])
    opened = start_session(session or DEFAULT_FOLDER, picture, prompt, backbone)
    text = f"session {opened.folder}: {turn_line(opened.source)}\nedit it with: {edit_command(opened.folder)}"
    emit(as_json, turn_json(opened, opened.source), text)


@click.command()
@click.argument("prompt")
@click.option("--source-prompt", help="What the picture shows now. Default: the turn's prompt.")
@click.option("--from", "parent", default="head", show_default=True, metavar="TURN", help="The turn to edit.")
@click.option(
    "--words",
    metavar="WORDS",
    help="Words of PROMPT to highlight, separated by commas. Default: those that differ.",
)
@session_option
@output_option
@model_options
@method_options
@seed_option
@handover_option
@json_option
@common
def edit(
    prompt: str,
    source_prompt: str | None,
    parent: str,
    words: str | None,
    session: Path | None,
    output: Path | None,
    chosen_model: ModelChoice,
    chosen_method: MethodChoice,
    seed: int | None,
    handover: str,
    as_json: bool,
) -> None:
    """Add a turn: PROMPT says what the picture is to show."""
    from dataclasses import replace

    from undrift.cli import work

    opened = open_session(session)
    start = opened.turn(parent)
    work.check_method(chosen_method)
    backbone = work.load_model(chosen_model, work.session_model(opened, start))
    work.advise(backbone, opened.picture(start), [prompt])
    wanted = work.plan_of(chosen_method, prompt, seed, handover, parse_words(words))
    plan = replace(wanted, source_prompt=source_prompt, parent=start.id)
    (turn,) = work.run_turns(opened, backbone, work.choose_method(chosen_method, backbone.tuned), [plan])
    work.write_output(opened, turn, output)
    text = (
        f"{turn_line(turn)}\n"
        f"picture: {output or opened.folder / turn.image}\n"
        f"drift outside the edit: {drift_text(turn.drift_previous)}; "
        f"against the original: {drift_text(turn.drift_original)}"
    )
    emit(as_json, turn_json(opened, turn), text)
