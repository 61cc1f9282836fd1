"""Prompts, names and metadata are data: nothing in them reaches the terminal as a command or as markup."""

from __future__ import annotations

import ast
import json
import logging
import re
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.conftest import Invoke, parsed
from tests.support.toy import toy_picture
from undrift.cli import output, text
from undrift.cli.logs import quiet
from undrift.pictures import png_bytes
from undrift.session.store import Session

CLI = Path(output.__file__).parent
ACTIVE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\u2066-\u2069]")
"""What a terminal obeys instead of showing it: C0 and C1 controls, and overrides of the direction of writing."""

TITLE = "a dog\x1b]0;owned\x07 \x9b2J \x7f\u202egnp"
ESCAPED = r"a dog\u001b]0;owned\u0007 \u009b2J \u007f\u202egnp"
MARKUP = "a [/b] dog [red]in a[/red] :smile: [link=http://x]hat[/link]"


def is_plain(result: Result) -> None:
    assert result.exit_code == 0, result.stderr
    found = ACTIVE.findall(result.output)
    assert not found, result.output


@pytest.fixture
def hostile(session: Invoke) -> Invoke:
    """A session whose head has an escape sequence in its prompt, and its parent rich markup."""
    for prompt in (MARKUP, TITLE):
        is_plain(session("edit", prompt, "--method", "toy", "--seed", "1"))
    return session


@pytest.mark.parametrize(
    "arguments",
    [
        ("log",),
        ("show",),
        ("show", "--json"),
        ("log", "--json"),
        ("undo",),
        ("checkout", "original"),
        ("compare", "1", "head"),
        ("restore", "--brush", "brush.png"),
        ("rebase", "--method", "toy"),
        ("edit", TITLE, "--method", "toy", "--candidates", "2"),
        ("edit", MARKUP, "--method", "toy", "--candidates", "2"),
        ("replay", "--set", "steps=2"),
        ("export", "-o", "x.png"),
    ],
)
def test_no_command_obeys_a_prompt(hostile: Invoke, folder: Path, arguments: tuple[str, ...]) -> None:
    toy_picture().convert("L").point([255] * 256).save(folder / "brush.png")
    is_plain(hostile(*arguments))


def test_escapes_are_shown_as_what_they_are(hostile: Invoke) -> None:
    shown = hostile("show").stdout
    assert ESCAPED in shown


def test_json_still_holds_the_very_prompt(hostile: Invoke) -> None:
    assert parsed(hostile("show", "--json"))["prompt"] == TITLE


def test_markup_in_a_prompt_is_text_in_tables(invoke: Invoke, folder: Path) -> None:
    result = invoke("run", "cat.png", "-p", "a cat", "-e", MARKUP, "-e", TITLE, "--method", "toy")
    is_plain(result)
    assert "[/b] dog [red]in a[/red] :smile:" in " ".join(result.stdout.split())
    assert len(Session.open(folder / "undrift-cat").turns()) == 3


@pytest.mark.parametrize("prompt", [MARKUP, TITLE])
def test_markup_in_a_prompt_is_text_in_progress_bars(
    session: Invoke, monkeypatch: pytest.MonkeyPatch, prompt: str
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then draws bars as on a terminal
    monkeypatch.setenv("TTY_INTERACTIVE", "0")
    result = session("edit", prompt, "--method", "toy")
    assert result.exit_code == 0, result.stderr
    assert "]0;owned\x07" not in result.stderr
    assert r"\u001b]0;owned" in result.stderr or "[/b] dog [red]in a[/red]" in result.stderr


def test_metadata_of_a_picture_sets_no_window_title(invoke: Invoke, folder: Path) -> None:
    turns = [{"number": 1, "kind": "original", "prompt": TITLE, "spec": None}]
    metadata = {"format": 1, "software": "\x1b]0;owned\x07", "prompt": TITLE, "turns": turns}
    (folder / "x.png").write_bytes(png_bytes(toy_picture(), metadata))
    is_plain(invoke("info", "x.png"))
    is_plain(invoke("info", "x.png", "--json"))
    assert json.loads(invoke("info", "x.png", "--json").stdout)["software"] == "\x1b]0;owned\x07"


def test_errors_are_plain(session: Invoke) -> None:
    result = session("show", TITLE)
    assert result.exit_code == 2
    assert not ACTIVE.search(result.stderr)
    assert r"no turn 'a dog\u001b]0;owned\u0007" in result.stderr


def test_warnings_are_plain_and_of_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with quiet():
        logging.getLogger("undrift.x").warning("interrupted: '%s'", TITLE + "\nerror: all is lost")
    said = capsys.readouterr().err
    assert (
        said
        == "warning: interrupted: 'a dog\\u001b]0;owned\\u0007 \\u009b2J \\u007f\\u202egnp\\nerror: all is lost'\n"
    )


def test_tracebacks_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    from undrift.cli.errors import guarded

    def surprise() -> None:
        raise ValueError(TITLE)

    assert guarded(surprise, lambda: True) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert not ACTIVE.search(said)


def test_a_line_stays_a_line(session: Invoke) -> None:
    result = session("edit", "a dog\nerror: all is lost", "--method", "toy")
    assert not [line for line in result.output.splitlines() if line.startswith("error")]


@pytest.mark.parametrize("plain", ["plain", "ünïcödé 猫 🐈", "a\tb\nc"])
def test_ordinary_text_is_shown_as_it_is(plain: str) -> None:
    assert text.shown(plain) == plain


def test_bytes_of_a_path_that_are_no_text_are_shown() -> None:
    assert text.shown("caf\udce9.png") == r"caf\xe9.png"


def test_everything_is_said_in_one_place() -> None:
    """A print, an echo or a console of its own would go around the neutralising."""
    found = []
    for file in sorted(CLI.glob("*.py")):
        if file.name in {"output.py", "screen.py"}:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in {"click.echo", "click.secho", "print", "Console", "TextColumn", "traceback.print_exc"}:
                found.append(f"{file.name}:{node.lineno}: {called}")  # type: ignore[attr-defined]
    assert not found, "say it with undrift.cli.output and undrift.cli.screen"
