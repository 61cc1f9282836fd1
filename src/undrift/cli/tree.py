"""Looking at a session's tree of turns, and moving in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from undrift.cli.options import common, json_option, session_option
from undrift.cli.output import emit
from undrift.cli.paths import OutputFile
from undrift.cli.sessions import drift_text, open_session, turn_json, turn_line
from undrift.cli.text import line
from undrift.cli.warm import tell_moved
from undrift.outputs import PICTURE_ENDINGS

if TYPE_CHECKING:
    from undrift.session.model import Turn, TurnSpec
    from undrift.session.store import Session


@click.command()
@session_option
@json_option
@common
def log(session: Path | None, as_json: bool) -> None:
    """Show the tree of turns; * marks where the next edit goes on."""
    from undrift.session.drift import warning

    opened = open_session(session)
    tree = opened.tree()
    value = {
        "session": str(opened.folder),
        "head": tree.head_id,
        "branch": tree.branch,
        "branches": dict(tree.branches),
        "turns": [turn.model_dump(mode="json") for turn in tree.turns.values()],
    }
    warned = warning(tree.head)
    emit(as_json, value, f"{tree.text()}\nnote: {warned}" if warned else tree.text())


@click.command()
@click.argument("turn", default="head")
@session_option
@json_option
@common
def show(turn: str, session: Path | None, as_json: bool) -> None:
    """Show everything about TURN: a number, an id, a branch, head or original."""
    opened = open_session(session)
    found = opened.turn(turn)
    emit(as_json, turn_json(opened, found), _details(opened, found))


@click.command()
@session_option
@json_option
@common
def undo(session: Path | None, as_json: bool) -> None:
    """Step back to the turn before; nothing is lost."""
    opened = open_session(session)
    _moved(opened, opened.undo(), as_json)


@click.command()
@session_option
@json_option
@common
def redo(session: Path | None, as_json: bool) -> None:
    """Step forward again to the turn that undo left."""
    opened = open_session(session)
    _moved(opened, opened.redo(), as_json)


@click.command()
@click.argument("name")
@click.argument("turn", default="head")
@session_option
@json_option
@common
def branch(name: str, turn: str, session: Path | None, as_json: bool) -> None:
    """Start the branch NAME at TURN and go on from there."""
    opened = open_session(session)
    _moved(opened, opened.branch(name, turn), as_json)


@click.command()
@click.argument("turn")
@session_option
@json_option
@common
def checkout(turn: str, session: Path | None, as_json: bool) -> None:
    """Go to TURN, a number, an id or a branch; the next edit goes on there."""
    opened = open_session(session)
    _moved(opened, opened.checkout(turn), as_json)


@click.command()
@click.argument("turn")
@session_option
@json_option
@common
def keep(turn: str, session: Path | None, as_json: bool) -> None:
    """Go on with TURN instead of the other candidates; a branch that ended at one of them ends here."""
    from undrift.session.next_turn import keep as go_on_with

    opened = open_session(session)
    _moved(opened, go_on_with(opened, turn), as_json)


@click.command()
@click.argument("first", default="original")
@click.argument("second", default="head")
@click.option(
    "--output",
    "-o",
    type=OutputFile(*PICTURE_ENDINGS),
    help="Write a map of the differences to this PNG file.",
)
@session_option
@json_option
@common
def compare(first: str, second: str, output: Path | None, session: Path | None, as_json: bool) -> None:
    """Compare two turns over the whole picture; by default original and head."""
    from undrift.pictures import write_png
    from undrift.session.compare import compare as compared

    opened = open_session(session)
    one, two = opened.turn(first), opened.turn(second)
    found = compared(opened, one, two)
    if output is not None:
        write_png(found.heat, output)
    value = {
        "first": one.id,
        "second": two.id,
        "psnr": found.numbers.psnr,
        "changed": found.numbers.changed,
        "mean": found.mean,
        "largest": found.largest,
        "output": output and str(output),
    }
    text = (
        f"{turn_line(one)}\n{turn_line(two)}\n{drift_text(found.numbers)}; "
        f"mean difference {found.mean:.2f}, largest {found.largest} of 255"
    )
    emit(as_json, value, text)


def _moved(session: Session, turn: Turn, as_json: bool) -> None:
    tell_moved(session.folder)
    emit(as_json, turn_json(session, turn), f"now at {turn_line(turn)}")


def _details(session: Session, turn: Turn) -> str:
    rows = {
        "turn": f"{turn.number}  {turn.id}  ({turn.kind})",
        "prompt": turn.prompt,
        "from": turn.parent or "-",
        "picture": f"{session.folder / turn.image}  {turn.width} x {turn.height}",
        "created": turn.created,
    }
    if turn.region_file is not None:
        rows["region"] = str(session.folder / turn.region_file)
    if turn.restore is not None:
        rows["back from"] = turn_line(session.turn(turn.restore.anchor))
    if turn.spec is not None:
        rows |= _spec_rows(turn.spec) | {"cost": turn.cost}
    if turn.drift_previous is not None:
        rows |= {
            "drift": f"{drift_text(turn.drift_previous)} against the turn before",
            "": f"{drift_text(turn.drift_original)} against the original",
        }
    return "\n".join(f"{name:<10}{line(value)}" for name, value in rows.items())


def _spec_rows(spec: TurnSpec) -> dict[str, str]:
    said = {} if spec.instruction is None else {"said": spec.instruction}
    return said | {
        "words": _words(spec),
        "method": f"{spec.method}, preset {spec.preset}, seed {spec.seed}, handover {spec.handover}",
        "params": ", ".join(f"{name}={value}" for name, value in spec.params.items()),
        "model": f"{spec.model} ({spec.weights_hash}), {spec.dtype} on {spec.device}",
    }


def _words(spec: TurnSpec) -> str:
    from undrift.session.prompts import steering_words

    steering = ", ".join(steering_words(spec.source_prompt, spec.target_prompt, spec.words)) or "none"
    return f"{steering} (those that differ)" if spec.words is None else steering
