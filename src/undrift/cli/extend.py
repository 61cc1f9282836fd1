"""More canvas around a picture, or less of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undrift.cli.options import (
    MethodChoice,
    ModelChoice,
    common,
    json_option,
    method_options,
    model_options,
    seed_option,
    session_option,
)
from undrift.cli.output import emit
from undrift.cli.paths import Folder
from undrift.cli.sessions import drift_text, edit_command, free_folder, open_session, turn_json, turn_line
from undrift.errors import InputError

if TYPE_CHECKING:
    from undrift.session.canvas import Frame
    from undrift.session.model import Turn
    from undrift.session.store import Session

MOST = 2**16
"""Pixels on a side."""
PIXELS = click.IntRange(-MOST, MOST)


@click.command()
@click.argument("turn", default="head")
@click.option("--left", type=PIXELS, metavar="N", help="Pixels more on the left; -N crops.")
@click.option("--right", type=PIXELS, metavar="N", help="On the right.")
@click.option("--top", type=PIXELS, metavar="N", help="Above.")
@click.option("--bottom", type=PIXELS, metavar="N", help="Below.")
@click.option("--all", "around", type=PIXELS, metavar="N", help="On every side not named.")
@click.option(
    "--fill/--mirror",
    default=True,
    show_default=True,
    help="Draw what is new from the caption, or leave it a mirror of the picture.",
)
@click.option("--prompt", "-p", help="What the new picture shows. Default: the turn's prompt.")
@click.option("--output", "-o", type=Folder(), help="Folder of the new session. Default: undrift-extended.")
@session_option
@model_options
@method_options
@seed_option
@json_option
@common
def extend(
    turn: str,
    left: int | None,
    right: int | None,
    top: int | None,
    bottom: int | None,
    around: int | None,
    fill: bool,
    prompt: str | None,
    output: Path | None,
    session: Path | None,
    chosen_model: ModelChoice,
    chosen_method: MethodChoice,
    seed: int | None,
    as_json: bool,
) -> None:
    """Begin a session with TURN's picture on a larger canvas, and fill what is new.

    Every pixel of the picture stays as it is. A session has pictures of one size, so the larger one begins another
    session; its first turn fills the border from the caption, with the method repaint unless another is chosen.
    """
    from undrift.cli import execution
    from undrift.session.appearing import check_free
    from undrift.session.canvas import beyond, check_frame
    from undrift.session.extending import FILL, begin_framed, fill_plan

    folder = output or free_folder("undrift-extended")
    check_free(folder)
    opened = open_session(session)
    start = opened.turn(turn)
    size, caption = (start.width, start.height), start.prompt if prompt is None else prompt
    frame = _frame(size, [around if side is None else side for side in (left, right, top, bottom)])
    check_frame(frame, size)
    plan = fill_plan(frame, size, caption, seed) if fill and beyond(frame, size) is not None else None
    choice = replace(chosen_method, method=chosen_method.named or FILL)
    execution.choose_method(choice)
    backbone = execution.load_for(opened, start, chosen_model)
    made = begin_framed(opened, frame, folder, backbone, caption, start.id)
    if plan is not None:
        execution.add_turns(made, made.tree(), plan, chosen_model, choice, goes_on_from=made.original)
    else:
        execution.goes_on(made, backbone)
    emit(as_json, turn_json(made, made.head), _text(made, made.head))


def _frame(size: tuple[int, int], more: list[int | None]) -> Frame:
    """The frame that has so much more on the left, right, above and below.

    Raises:
        InputError: it is the picture as it is.
    """
    from undrift.session.canvas import Frame

    left, right, top, bottom = (side or 0 for side in more)
    if not any((left, right, top, bottom)):
        raise InputError("nothing to do: say how many pixels more with --left, --right, --top, --bottom or --all")
    return Frame(-left, -top, size[0] + left + right, size[1] + top + bottom)


def _text(session: Session, turn: Turn) -> str:
    edited = "" if turn.drift_previous is None else f"drift outside the edit: {drift_text(turn.drift_previous)}\n"
    return (
        f"session {session.folder}: {turn_line(turn)}\n"
        f"picture: {session.folder / turn.image}\n{edited}"
        f"edit it with: {edit_command(session.folder)}"
    )
