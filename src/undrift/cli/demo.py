"""``undrift demo``: the main job on a bundled picture."""

from __future__ import annotations

from pathlib import Path

import click

from undrift.cli.options import MethodChoice, ModelChoice, common, json_option, method_options, model_options
from undrift.cli.output import emit, say
from undrift.cli.paths import Folder
from undrift.cli.sessions import edit_command, free_folder, turn_json

SHEET = "contact-sheet.png"


@click.command()
@click.option(
    "--output",
    "-o",
    type=Folder(),
    help="Folder for the session and the contact sheet. Default: undrift-demo.",
)
@model_options
@method_options
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, metavar="N", help="Of every turn."
)
@json_option
@common
def demo(
    output: Path | None, chosen_model: ModelChoice, chosen_method: MethodChoice, seed: int, as_json: bool
) -> None:
    """Edit a bundled picture over five turns and show them on one sheet."""
    from undrift.cli import execution
    from undrift.cli.placement import remember
    from undrift.littleworld import demo as bundled
    from undrift.session.engine import EditPlan, start_session
    from undrift.session.export import write_contact_sheet

    chosen = execution.choose_method(chosen_method)
    backbone = execution.load_model(chosen_model)
    folder = output or free_folder("undrift-demo")
    opened = start_session(folder, bundled.picture(), bundled.prompt(), backbone)
    remember(opened, chosen_model.settled())
    method = chosen.fitted(backbone.tuned)
    plans = [EditPlan(prompt, seed=seed) for prompt in bundled.edits()]
    turns = execution.run_turns(opened, backbone, [(method, plan) for plan in plans])
    sheet = folder / SHEET
    write_contact_sheet(opened, sheet)
    if as_json:
        turns_json = [turn_json(opened, turn) for turn in turns]
        emit(True, {"session": str(folder), "contact_sheet": str(sheet), "turns": turns_json}, "")
        return
    from undrift.cli.report import print_turns

    print_turns(turns)
    say(f"contact sheet: {sheet}\npictures:      {folder}/pictures\ngo on with:    {edit_command(folder)}")
