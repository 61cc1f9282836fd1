"""Starting a session and adding a turn to it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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
    session_option,
)
from undrift.cli.output import emit, say
from undrift.cli.regions import RegionChoice, region_options
from undrift.cli.saying import announce, asked, chosen_form, step_back
from undrift.cli.sessions import DEFAULT_FOLDER, drift_text, edit_command, open_session, turn_json, turn_line
from undrift.cli.words import parse_words
from undrift.errors import InputError

if TYPE_CHECKING:
    from undrift.session.model import Turn
    from undrift.session.store import Session


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@prompt_option
@caption_option
@session_option
@model_options
@json_option
@common
def new(
    image: Path,
    prompt: str | None,
    caption_model: str | None,
    session: Path | None,
    chosen_model: ModelChoice,
    as_json: bool,
) -> None:
    """Start a session with IMAGE as its original picture."""
    from undrift.cli import execution
    from undrift.cli.placement import remember
    from undrift.pictures import read_picture
    from undrift.session.appearing import check_free
    from undrift.session.engine import start_session

    folder = session or DEFAULT_FOLDER
    check_free(folder)
    picture = read_picture(image)
    prompt = caption_of(image, picture, prompt, caption_model)
    backbone = execution.load_model(chosen_model)
    execution.advise(backbone, picture, [prompt])
    opened = start_session(folder, picture, prompt, backbone)
    remember(opened, chosen_model.settled())
    execution.goes_on(opened, backbone)
    text = f"session {opened.folder}: {turn_line(opened.original)}\nedit it with: {edit_command(opened.folder)}"
    emit(as_json, turn_json(opened, opened.original), text)


@click.command()
@click.argument("text")
@click.option("--caption", is_flag=True, help="TEXT is a caption, whatever it looks like.")
@click.option("--say", "instruction", is_flag=True, help="TEXT is an instruction, whatever it looks like.")
@click.option("--said", metavar="TEXT", help="Record TEXT as the instruction that the caption was made from.")
@click.option("--source-prompt", help="What the picture shows now. Default: the turn's prompt.")
@click.option("--from", "parent", default="head", show_default=True, metavar="TURN", help="The turn to edit.")
@click.option(
    "--words",
    metavar="WORDS",
    help='Words of the caption to highlight, separated by commas, "" for none. Default: those that differ.',
)
@click.option(
    "--candidates",
    "count",
    type=click.IntRange(1, 9),
    default=1,
    show_default=True,
    metavar="N",
    help="Make N variants of the turn side by side; the session goes on from the first, or from the one you keep.",
)
@click.option(
    "--together",
    is_flag=True,
    help="Make the candidates as one batch: sooner in all, and the same but for rounding.",
)
@click.option(
    "--also",
    multiple=True,
    metavar="METHOD[:PRESET]",
    help="One more candidate, made with this method; a number turns the dial instead. Repeatable.",
)
@session_option
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
def edit(
    text: str,
    caption: bool,
    instruction: bool,
    said: str | None,
    source_prompt: str | None,
    parent: str,
    words: str | None,
    count: int,
    together: bool,
    also: tuple[str, ...],
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
    """Add a turn: TEXT says what to change, or all that the picture is to show.

    An instruction such as "make the dog blue" changes the caption of the turn before; "undo that" and "back to the
    red one" step back; "a bit more" and "less" make the turn anew with the dial turned.

    It goes on with the method and preset of the turn before; parameters and the dial hold for one turn.
    """
    from undrift.cli import execution
    from undrift.cli.looks import looks_for
    from undrift.session.engine import EditPlan
    from undrift.session.saying import heard

    if count + len(also) > 1 and output is not None:
        several = "--also" if also else "--candidates"
        raise InputError(f"--output takes one picture: leave out {several}, or export the candidate that you keep")
    opened = open_session(session)
    tree = opened.tree()
    start = tree.turn(parent)
    form = chosen_form(caption, instruction)
    listen = partial(heard, tree, text, start.id, source_prompt, form, chosen_language.opened())
    now = start.prompt if source_prompt is None else source_prompt
    reading = execution.understood(listen, text, now, tree, start, chosen_method)
    if reading.is_step:
        moved = step_back(opened, tree, start, reading)
        execution.moved(opened)
        execution.write_output(opened, moved, output)
        emit(as_json, turn_json(opened, moved), f"now at {turn_line(moved)}")
        return
    given = EditPlan(
        text,
        source_prompt=source_prompt,
        instruction=said,
        words=parse_words(words),
        seed=seed,
        handover=handover,
        region=execution.region_for(chosen_region, (start.width, start.height)),
        references=looks_for(references, (start.width, start.height)),
    )
    plan, chosen_method = asked(opened, start, reading, given, chosen_method)
    turns = execution.add_turns(
        opened,
        tree,
        plan,
        chosen_model,
        chosen_method,
        goes_on_from=start,
        count=count,
        also=also,
        together=together,
        announce=lambda: announce(reading),
    )
    execution.write_output(opened, turns[0], output)
    if len(turns) == 1:
        _show_turn(opened, turns[0], output, as_json)
    else:
        _show_candidates(opened, turns, as_json)


@click.command()
@session_option
@output_option
@model_options
@method_options
@seed_option
@json_option
@common
def rebase(
    session: Path | None,
    output: Path | None,
    chosen_model: ModelChoice,
    chosen_method: MethodChoice,
    seed: int | None,
    as_json: bool,
) -> None:
    """Make what the picture shows now anew from the original, without the errors of the turns between.

    All that was asked so far has to be in the prompt of the turn. The new turn stands beside the others; nothing is
    lost.
    """
    from dataclasses import replace

    from undrift.cli import execution
    from undrift.session.next_turn import rebase_plan

    opened = open_session(session)
    tree = opened.tree()
    plan = replace(rebase_plan(tree), seed=seed)
    (turn,) = execution.add_turns(opened, tree, plan, chosen_model, chosen_method, goes_on_from=tree.head)
    execution.write_output(opened, turn, output)
    _show_turn(opened, turn, output, as_json)


@click.command()
@click.option(
    "--brush",
    required=True,
    type=click.Path(path_type=Path),
    metavar="MASK",
    help="Mask of the picture's size, white (or painted on nothing, or a hole) where the earlier picture comes back.",
)
@click.option(
    "--from",
    "anchor",
    default="original",
    show_default=True,
    metavar="TURN",
    help="The turn whose picture comes back.",
)
@session_option
@output_option
@model_options
@json_option
@common
def restore(
    brush: Path, anchor: str, session: Path | None, output: Path | None, chosen_model: ModelChoice, as_json: bool
) -> None:
    """Add a turn that puts an earlier picture back where a mask says, and leaves the rest."""
    from undrift.cli import execution
    from undrift.pictures import open_mask
    from undrift.session.engine import restore as put_back

    opened = open_session(session)
    painted = open_mask(brush)
    backbone = execution.load_for(opened, opened.head, chosen_model)
    turn = put_back(opened, backbone, painted.image, anchor)
    execution.goes_on(opened, backbone)
    execution.tell_mask(brush, painted)
    execution.write_output(opened, turn, output)
    _show_turn(opened, turn, output, as_json)


def _show_turn(session: Session, turn: Turn, output: Path | None, as_json: bool) -> None:
    from undrift.session.drift import warning

    warned = warning(turn)
    text = (
        f"{turn_line(turn)}\n"
        f"picture: {output or session.folder / turn.image}\n"
        f"drift outside the edit: {drift_text(turn.drift_previous)}; "
        f"against the original: {drift_text(turn.drift_original)}"
    )
    emit(as_json, turn_json(session, turn), f"{text}\nnote: {warned}" if warned else text)


def _made_with(turn: Turn, turns: Sequence[Turn]) -> str:
    """The method and dial of a candidate, where they differ between candidates."""
    made = [None if each.spec is None else (each.spec.method, each.spec.preset, each.spec.dial) for each in turns]
    if turn.spec is None or len(set(made)) == 1:
        return ""
    dial = f", dial {turn.spec.dial:g}" if turn.spec.dial else ""
    return f"  {turn.spec.method}, preset {turn.spec.preset}{dial}"


def _show_candidates(session: Session, turns: Sequence[Turn], as_json: bool) -> None:
    if as_json:
        emit(True, {"session": str(session.folder), "turns": [turn_json(session, turn) for turn in turns]}, "")
        return
    from undrift.cli.report import print_turns

    print_turns(turns)
    for turn in turns:
        say(f"{turn.id}  {session.folder / turn.image}{_made_with(turn, turns)}")
    say("going on from the first; keep another with: undrift keep ID")
