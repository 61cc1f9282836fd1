"""``undrift run``: a whole session in one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from undrift.cli.captions import caption_of, caption_option, prompt_option
from undrift.cli.language_options import LanguageChoice, language_options
from undrift.cli.options import (
    Handover,
    MethodChoice,
    ModelChoice,
    common,
    handover_option,
    json_option,
    method_options,
    model_options,
    output_option,
    reference_option,
    seed_option,
)
from undrift.cli.output import emit, say
from undrift.cli.paths import Folder
from undrift.cli.regions import RegionChoice, region_options
from undrift.cli.saying import announce
from undrift.cli.sessions import edit_command, free_folder, turn_json
from undrift.cli.words import parse_words
from undrift.errors import InputError

if TYPE_CHECKING:
    from undrift.instructions import Reading
    from undrift.instructions.chat_model import ChatModel
    from undrift.session.engine import EditPlan


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@prompt_option
@caption_option
@click.option("--edit", "-e", "edits", multiple=True, help="What it is to show next; one per turn, in order.")
@click.option(
    "--say",
    "said",
    multiple=True,
    metavar="TEXT",
    help="Instead of --edit: what to change next, such as 'make the hat blue', or what it is to show.",
)
@click.option(
    "--words",
    multiple=True,
    metavar="WORDS",
    help='Words of an edit to highlight, with commas; one per --edit, in order. "" for none, null for those that '
    "differ, as without it.",
)
@click.option(
    "--session",
    "-s",
    type=Folder(),
    help="Folder of the new session. Default: undrift-NAME after the picture.",
)
@output_option
@language_options
@model_options
@method_options
@region_options
@reference_option
@seed_option
@handover_option
@json_option
@common
def run(
    image: Path,
    prompt: str | None,
    caption_model: str | None,
    edits: tuple[str, ...],
    said: tuple[str, ...],
    words: tuple[str, ...],
    session: Path | None,
    output: Path | None,
    chosen_language: LanguageChoice,
    chosen_model: ModelChoice,
    chosen_method: MethodChoice,
    chosen_region: RegionChoice,
    references: tuple[str, ...],
    seed: int | None,
    handover: Handover,
    as_json: bool,
) -> None:
    """Edit IMAGE over several turns in a new session.

    \b
    undrift run cat.png -p "a cat on a sofa" \\
        -e "a cat with a red hat on a sofa" -e "a cat with a red hat on a bench"
    """
    _check(edits, said, words)
    from dataclasses import replace

    from undrift.cli import execution
    from undrift.cli.looks import looks_for
    from undrift.cli.placement import remember
    from undrift.pictures import read_picture
    from undrift.session.appearing import check_free
    from undrift.session.engine import EditPlan, check_references, start_session

    by_instructions = execution.follows_instructions(chosen_method)
    language = chosen_language.opened() if said else None
    execution.name_models(chosen_method)
    chosen = execution.choose_method(chosen_method)
    folder = session or free_folder(f"undrift-{image.stem}")
    check_free(folder)
    picture = read_picture(image)
    looks = looks_for(references, picture.size)
    check_references(chosen.fitted(), looks)
    region = execution.region_for(chosen_region, picture.size)
    prompt = caption_of(image, picture, prompt, caption_model)
    readings = _heard(prompt, said, language, by_instructions)
    edits = edits or tuple(reading.target for reading in readings)
    backbone = execution.load_model(chosen_model)
    if not by_instructions:
        execution.advise(backbone, picture, [prompt, *edits])
        backbone.embed([prompt, *edits])  # so that a prompt the model refuses is refused before a session exists
    method = chosen.fitted(backbone.tuned)
    method.check(backbone)  # as with prompts: nothing is begun that the model cannot do
    opened = start_session(folder, picture, prompt, backbone)
    remember(opened, chosen_model.settled())
    shared = EditPlan("", seed=seed, handover=handover, region=region, references=looks)
    steering = [parse_words(text) for text in words] or [None] * len(edits)
    plans = [replace(shared, prompt=edit, words=steer) for edit, steer in zip(edits, steering, strict=True)]
    if readings:
        plans = [_with_saying(plan, reading) for plan, reading in zip(plans, readings, strict=True)]
    for reading in readings:
        announce(reading)
    turns = execution.run_turns(opened, backbone, [(method, plan) for plan in plans])
    execution.write_output(opened, turns[-1], output)
    if as_json:
        emit(True, {"session": str(opened.folder), "turns": [turn_json(opened, turn) for turn in turns]}, "")
        return
    from undrift.cli.report import print_turns

    print_turns(turns)
    say(f"pictures: {opened.folder}/pictures, last one: {output or opened.folder / turns[-1].image}")
    say(f"go on with: {edit_command(opened.folder)}")


def _heard(prompt: str, said: tuple[str, ...], model: ChatModel | None, by_instructions: bool) -> list[Reading]:
    """What is asked for, one after the other, before anything is made.

    Raises:
        InputError: something is no edit, or has no sure reading and the method does not follow instructions.
    """
    from undrift.instructions import NotUnderstood
    from undrift.instructions.exchange import Said
    from undrift.session.saying import as_said, heard_after

    turns = [Said(None, prompt)]
    readings: list[Reading] = []
    for number, text in enumerate(said, 1):
        try:
            reading = heard_after(turns, text, model=model)
        except NotUnderstood:
            if not by_instructions:
                raise
            reading = as_said(text, turns[-1].caption)
        if reading.is_step or reading.strength:
            raise InputError(f"--say number {number}, '{text}', is no edit: leave it out, or use undrift edit")
        readings.append(reading)
        turns.append(Said(text if reading.form == "instruction" else None, reading.target))
    return readings


def _with_saying(plan: EditPlan, reading: Reading) -> EditPlan:
    from dataclasses import replace

    from undrift.session.saying import recorded

    if reading.form == "caption":
        return plan
    implied = reading.source if not plan.source_prompt else plan.source_prompt
    words = reading.words if plan.words is None else plan.words
    return replace(plan, instruction=reading.text, exchange=recorded(reading), words=words, source_prompt=implied)


def _check(edits: tuple[str, ...], said: tuple[str, ...], words: tuple[str, ...]) -> None:
    if bool(edits) == bool(said):
        raise InputError("give the turns with --edit (captions) or with --say (instructions or captions)")
    option, edits = ("--edit", edits) if edits else ("--say", said)
    empty = [number for number, edit in enumerate(edits, 1) if not edit.strip()]
    if empty:
        raise InputError(f"{option} number {empty[0]} is empty: say what the picture is to show")
    if words and len(words) != len(edits):
        raise InputError(
            f"--words is given {len(words)} times for {len(edits)} edits: give one per {option} "
            '("" for none, null for those that differ)'
        )
