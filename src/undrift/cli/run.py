"""``undrift run``: a whole session in one command."""

from __future__ import annotations

from pathlib import Path

import click

from undrift.cli.options import (
    Handover,
    MethodChoice,
    ModelChoice,
    RegionChoice,
    common,
    handover_option,
    json_option,
    method_options,
    model_options,
    output_option,
    parse_words,
    region_options,
    seed_option,
)
from undrift.cli.output import emit, say
from undrift.cli.paths import Folder
from undrift.cli.sessions import edit_command, free_folder, turn_json
from undrift.errors import InputError


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--prompt", "-p", required=True, help="What the picture shows.")
@click.option(
    "--edit", "-e", "edits", multiple=True, required=True, help="What it is to show next; one per turn, in order."
)
@click.option(
    "--words",
    multiple=True,
    metavar="WORDS",
    help="Words of an edit to highlight, with commas; one per --edit, in order. Default: those that differ.",
)
@click.option(
    "--session",
    "-s",
    type=Folder(),
    help="Folder of the new session. Default: undrift-NAME after the picture.",
)
@output_option
@model_options
@method_options
@region_options
@seed_option
@handover_option
@json_option
@common
def run(
    image: Path,
    prompt: str,
    edits: tuple[str, ...],
    words: tuple[str, ...],
    session: Path | None,
    output: Path | None,
    chosen_model: ModelChoice,
    chosen_method: MethodChoice,
    chosen_region: RegionChoice,
    seed: int | None,
    handover: Handover,
    as_json: bool,
) -> None:
    """Edit IMAGE over several turns in a new session.

    \b
    undrift run cat.png -p "a cat on a sofa" \\
        -e "a cat with a red hat on a sofa" -e "a cat with a red hat on a bench"
    """
    _check(edits, words)
    from dataclasses import replace

    from undrift.cli import work
    from undrift.cli.placement import remember
    from undrift.pictures import read_picture
    from undrift.session.engine import EditPlan, start_session

    chosen = work.choose_method(chosen_method)
    picture = read_picture(image)
    region = work.region_for(chosen_region, picture.size)
    backbone = work.load_model(chosen_model)
    work.advise(backbone, picture, [prompt, *edits])
    backbone.embed([prompt, *edits])  # so that a prompt the model refuses is refused before a session exists
    opened = start_session(session or free_folder(f"undrift-{image.stem}"), picture, prompt, backbone)
    remember(opened, chosen_model.settled())
    method = chosen.fitted(backbone.tuned)
    shared = EditPlan("", seed=seed, handover=handover, region=region)
    steering = [parse_words(text) for text in words] or [None] * len(edits)
    plans = [replace(shared, prompt=edit, words=steer) for edit, steer in zip(edits, steering, strict=True)]
    turns = work.run_turns(opened, backbone, [(method, plan) for plan in plans])
    work.write_output(opened, turns[-1], output)
    if as_json:
        emit(True, {"session": str(opened.folder), "turns": [turn_json(opened, turn) for turn in turns]}, "")
        return
    from undrift.cli.report import print_turns

    print_turns(turns)
    say(f"pictures: {opened.folder}/pictures, last one: {output or opened.folder / turns[-1].image}")
    say(f"go on with: {edit_command(opened.folder)}")


def _check(edits: tuple[str, ...], words: tuple[str, ...]) -> None:
    empty = [number for number, edit in enumerate(edits, 1) if not edit.strip()]
    if empty:
        raise InputError(f"--edit number {empty[0]} is empty: say what the picture is to show")
    if words and len(words) != len(edits):
        raise InputError(
            f'--words is given {len(words)} times for {len(edits)} edits: give one per --edit ("" for none)'
        )
