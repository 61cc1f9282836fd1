"""``undrift extend``: a larger canvas, whose border a turn fills; the picture's own pixels stay."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Invoke, parsed
from tests.support.toy import toy_picture
from undrift.session.canvas import Frame, framed
from undrift.session.script import commands
from undrift.session.store import Session


def test_the_canvas_grows_and_is_filled_in_one_go(session: Invoke, folder: Path) -> None:
    turn = parsed(session("extend", "original", "--left", "9", "--all", "4", "--seed", "5", "--json"))
    assert (turn["kind"], turn["width"], turn["height"]) == ("edit", 40 + 9 + 4, 32 + 8)
    assert (turn["spec"]["method"], turn["spec"]["seed"], turn["prompt"]) == ("repaint", 5, "a cat")
    made = Session.open(folder / "undrift-extended")
    assert turn["session"] == "undrift-extended"
    picture = made.picture(made.head)
    assert picture.crop((9, 4, 49, 36)).tobytes() == toy_picture().tobytes()
    mirrored = framed(toy_picture(), Frame(-9, -4, 53, 40))
    assert made.picture(made.original).tobytes() == mirrored.tobytes()
    assert (np.asarray(picture) != np.asarray(mirrored)).any()


def test_it_says_what_it_did_and_how_to_go_on(session: Invoke) -> None:
    result = session("extend", "--bottom", "8", "-p", "a dog on a lawn", "-o", "lawn")
    assert result.exit_code == 0, result.stderr
    first, picture, drift, way_on = result.stdout.splitlines()
    assert first.startswith("session lawn: turn 1 (")
    assert first.endswith("a dog on a lawn")
    assert picture.startswith("picture: lawn/pictures/")
    assert drift == "drift outside the edit: identical, 0.0 % changed"
    assert way_on == 'edit it with: undrift edit -s lawn "..."'


def test_without_a_fill_the_border_is_a_mirror(session: Invoke, folder: Path) -> None:
    turn = parsed(session("extend", "0", "--right", "10", "--mirror", "-o", "wide", "--json"))
    assert turn["kind"] == "original"
    made = Session.open(folder / "wide")
    assert made.picture(made.head).tobytes() == framed(toy_picture(), Frame(0, 0, 50, 32)).tobytes()


def test_negative_numbers_crop_and_need_no_fill(session: Invoke, folder: Path) -> None:
    turn = parsed(session("extend", "0", "--left", "-8", "--top", "-4", "-o", "part", "--json"))
    assert (turn["kind"], turn["width"], turn["height"]) == ("original", 32, 28)
    made = Session.open(folder / "part")
    assert made.picture(made.head).tobytes() == toy_picture().crop((8, 4, 40, 32)).tobytes()


def test_a_filled_session_is_made_again_by_what_it_exports(session: Invoke, folder: Path) -> None:
    wide = parsed(session("extend", "0", "--right", "11", "--set", "steps=3", "-o", "wide", "--json"))
    made = Session.open(folder / "wide")
    for line in commands(made, made.head):
        result = session(*shlex.split(line)[1:])
        assert result.exit_code == 0, result.stderr
    again = Session.open(folder / "undrift-again")
    assert again.head.image_hash == wide["image_hash"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to do: say how many pixels more with --left, --right, --top, --bottom or --all"),
        (("--left", "-40"), "the frame is 0x32, expected 16 to 65535 pixels a side"),
        (("--all", "9", "-p", " "), "nothing says what the extended picture shows: give its caption"),
        (("--all", "9", "--set", "tries=0"), "parameter tries=0: input should be greater than or equal to 1"),
        (("--all", "9", "-o", "undrift-session"), "undrift-session"),
        (("9", "--all", "9"), "no turn"),
    ],
)
def test_what_cannot_be_is_one_line_and_makes_nothing(
    session: Invoke, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = session("extend", *arguments)
    assert result.exit_code != 0
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["cat.png", "undrift-session"]
