"""What a terminal cannot show is escaped; what is done is done, whoever reads of it."""

from __future__ import annotations

import codecs
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.cli.conftest import Invoke
from tests.support import programs
from tests.support.programs import environment
from tests.support.toy import toy_picture
from undrift.cli.main import cli
from undrift.session.store import Session

ENCODINGS = ("cp1252", "latin-1", "ascii", "cp437", "utf-8")
PROMPT = "a café with a 帽子 and a 🎩 in it"
TOY = ("--method", "toy", "--seed", "1")


def typed(encoding: str, *arguments: str) -> Result:
    """A command whose stdout and stderr have ``encoding``; what it printed is readable in it, or this fails."""
    result = CliRunner(charset=encoding).invoke(cli, arguments, prog_name="undrift")
    assert result.exit_code == 0, result.stderr_bytes
    result.stdout_bytes.decode(encoding)
    return result


def unescaped(text: str) -> str:
    """``text`` with Python's escapes read back."""
    pattern = r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}"
    return re.sub(pattern, lambda found: codecs.decode(found.group(), "unicode_escape"), text)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_prompts_and_paths_are_escaped_where_the_terminal_lacks_them(
    session: Invoke, folder: Path, encoding: str
) -> None:
    named = folder / "größe 帽"
    made = typed(encoding, "run", "cat.png", "-p", PROMPT, "-e", f"{PROMPT}!", *TOY, "-s", str(named))
    assert len(Session.open(named).turns()) == 2
    assert str(named) in unescaped(made.stdout_bytes.decode(encoding))
    for command in (("log",), ("show",), ("undo",), ("redo",), ("compare",)):
        told = typed(encoding, *command, "-s", str(named)).stdout_bytes.decode(encoding)
        assert PROMPT in unescaped(told), command
    typed(encoding, "edit", "--caption", "a cat", *TOY, "-s", str(named), "--candidates", "2")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_stays_json(session: Invoke, folder: Path, encoding: str) -> None:
    output = folder / "größe 帽.png"
    made = json.loads(
        typed(encoding, "edit", PROMPT, *TOY, "--json", "-o", str(output)).stdout_bytes.decode(encoding)
    )
    assert made["prompt"] == PROMPT
    assert output.is_file()
    log = json.loads(typed(encoding, "log", "--json").stdout_bytes.decode(encoding))
    assert log["turns"][-1]["prompt"] == PROMPT


def test_json_is_readable_where_it_can_be(session: Invoke) -> None:
    assert "café" in typed("latin-1", "edit", "--caption", "a café", *TOY, "--json").stdout_bytes.decode("latin-1")


def test_errors_are_escaped_too(session: Invoke) -> None:
    result = CliRunner(charset="ascii").invoke(cli, ["show", "帽"], prog_name="undrift")
    assert result.exit_code == 2
    assert "no turn '\\u5e3d'" in result.stderr_bytes.decode("ascii")


PATH = "größe 帽"
"""Of files and folders; Windows' and western encodings lack the end of it, ASCII more."""


NAMED = "katze 猫.png"
"""Of a picture that a table names: whatever the locale, it is found."""


def everything(made: Path) -> list[tuple[str, ...]]:
    """A command of each kind, on a session in ``made``, whose prompts and files no encoding but UTF-8 can show."""
    here = ("-s", str(made / PATH))
    files = {ending: str(made / f"{PATH}.{ending}") for ending in ("png", "sh", "py", "zip", "webp", "csv")}
    return [
        ("new", "cat.png", "-p", PROMPT, *here),
        ("edit", f"{PROMPT}!", *TOY, *here),
        ("edit", "--caption", "a cat 🎩", *TOY, "--candidates", "2", *here),
        ("branch", "frühling", *here),
        ("checkout", "frühling", *here),
        *((name, *here) for name in ("log", "show", "undo", "redo")),
        ("rebase", "--method", "toy", *here),
        ("restore", "--brush", "brush.png", *here),
        ("compare", "original", "head", "-o", str(made / f"different {PATH}.png"), *here),
        ("keep", "2", *here),
        *(("export", "-o", file, *here) for ending, file in files.items() if ending != "csv"),
        ("info", files["png"]),
        ("unpack", files["zip"], "-o", str(made / f"again {PATH}")),
        ("replay", "-o", str(made / f"once more {PATH}"), *here),
        ("batch", files["csv"], "--method", "toy", "-o", str(made / f"batch {PATH}")),
        ("methods",),
        ("models",),
    ]


def with_inputs(folder: Path) -> Path:
    """The folder with what ``everything`` takes beside the picture."""
    brush = Image.new("L", toy_picture().size, 0)
    brush.paste(255, (0, 0, 9, 9))
    brush.save(folder / "brush.png")
    toy_picture().save(folder / NAMED)
    rows = ("picture,prompt,turn,only", f"{NAMED},{PROMPT},a dog with a 🎩,{NAMED}")
    (folder / f"{PATH}.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "encoding", [ENCODINGS[0], *(pytest.param(name, marks=pytest.mark.slow) for name in ENCODINGS[1:])]
)
def test_every_command_does_what_it_is_asked(invoke: Invoke, folder: Path, encoding: str) -> None:
    for command in everything(with_inputs(folder)):
        typed(encoding, *command).stderr_bytes.decode(encoding)
        assert typed(encoding, *command[:1], "--help")
    assert len({path.name for path in folder.iterdir() if PATH in path.name}) == 11


def test_one_place_writes_to_the_terminal() -> None:
    modules = (Path(__file__).parents[2] / "src/undrift/cli").glob("*.py")
    strays = [f.name for f in modules if re.search(r"click\.s?echo\(|click\.secho\(|\bprint\(", f.read_text("utf-8"))]
    assert set(strays) <= {"reference.py", "report.py"}, "use output.say, which knows what the terminal can show"


def edited(folder: Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    """A process that adds a turn to the session."""
    command = [sys.executable, "-c", programs.TOY, "edit", PROMPT, *TOY]
    return subprocess.run(command, cwd=folder, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.slow
def test_a_real_terminal_that_knows_only_ascii(session: Invoke, folder: Path) -> None:
    made = edited(folder, env=environment() | {"PYTHONIOENCODING": "ascii"}, capture_output=True)
    assert made.returncode == 0, made.stderr
    assert PROMPT in unescaped(made.stdout.decode("ascii"))
    assert Session.open(folder / "undrift-session").head.prompt == PROMPT


EVERY = """
import sys
from undrift.cli.main import cli
from tests.support.toy import ToyBackbone, ToyMethod
from undrift.cli import execution
from undrift.methods import registry

registry.all_methods = lambda: {"toy": ToyMethod}
execution.load = lambda name, **options: ToyBackbone()
commands, command = [], []
for argument in sys.argv[1:]:
    if argument == "END":
        commands.append(command)
        command = []
    else:
        command.append(argument)
for command in commands:
    try:
        cli.main(command, prog_name="undrift")
    except SystemExit as end:
        assert not end.code, command
"""
"""Runs several commands, each ended by END, one after the other."""


@pytest.mark.slow
def test_a_locale_that_knows_only_ascii(invoke: Invoke, folder: Path) -> None:
    """Arguments are bytes: prompts that are UTF-8 are taken as such, names of files as they are."""
    typed = [part for command in everything(with_inputs(folder)) for part in (*command, "END")]
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [os.fsencode(part) for part in (sys.executable, "-c", EVERY, *typed)]
    made = subprocess.run(command, cwd=folder, env=environment() | plain, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr.decode("ascii", "replace")[-2000:]
    assert PROMPT in unescaped(made.stdout.decode("ascii"))
    assert Session.open(folder / PATH).original.prompt == PROMPT


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_stdout_that_is_full_does_not_fail_the_turn(session: Invoke, folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        made = edited(folder, env=environment(), stdout=full, stderr=subprocess.PIPE)
    assert made.returncode == 1
    said = made.stderr.decode().splitlines()[-1]
    assert said == "error: stdout cannot be written: no space left on device; what was asked for is done"
    assert Session.open(folder / "undrift-session").head.prompt == PROMPT


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="pipes end otherwise elsewhere")
def test_a_reader_who_left_is_no_failure(session: Invoke, folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        made = edited(folder, env=environment(), stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert (made.returncode, [line for line in made.stderr.decode().splitlines() if "error" in line.lower()]) == (
        0,
        [],
    )
    assert Session.open(folder / "undrift-session").head.prompt == PROMPT
