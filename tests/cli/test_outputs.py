"""``-o`` in every command alike, and wrong input that is refused with exit code 2 before anything is done."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import click
import pytest
from PIL import Image

from tests.cli.conftest import Invoke, parsed
from tests.cli.test_errors import fails
from tests.support import programs
from tests.support.programs import environment
from undrift.cli.main import cli
from undrift.session.store import Session

TOY = ("--method", "toy", "--seed", "1")
WRITES_A_PICTURE = (
    ("run", "cat.png", "-p", "a cat", "-e", "a bird", *TOY),
    ("edit", "--caption", "a bird", *TOY),
    ("rebase", "--seed", "1"),
    ("restore", "--brush", "white.png"),
    ("compare",),
    ("export",),
    ("export", "--format", "png"),
    ("export", "--format", "sheet"),
)
SURROGATE = "caf\udce9"
"""What the operating system makes of bytes that are no UTF-8."""


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def white(session: Invoke, folder: Path) -> Invoke:
    """``session`` with the mask ``white.png``."""
    Image.new("L", (40, 32), 255).save(folder / "white.png")
    return session


@pytest.mark.parametrize("command", WRITES_A_PICTURE, ids=lambda parts: " ".join(parts[:1] + parts[1:3]))
@pytest.mark.parametrize("output", ["x.jpg", "x.webp.tiff", "", "none/x.png", ".", f"{'x' * 300}.png"])
def test_a_picture_is_a_png_or_refused_before_the_work(
    white: Invoke, folder: Path, command: tuple[str, ...], output: str
) -> None:
    before = contents(folder)
    fails(white, *command, "-o", output, "--quiet")
    assert contents(folder) == before
    assert len(Session.open(folder / "undrift-session").turns()) == 3


@pytest.mark.parametrize("command", WRITES_A_PICTURE, ids=lambda parts: " ".join(parts[:1] + parts[1:3]))
def test_a_picture_goes_where_a_link_leads(white: Invoke, folder: Path, command: tuple[str, ...]) -> None:
    long = f"{'x' * 246}.png"
    (folder / long).write_bytes(b"old")
    (folder / long).chmod(0o640)
    (folder / "link.png").symlink_to(long)
    result = white(*command, "-o", "link.png", "--quiet")
    assert result.exit_code == 0, result.stderr
    with Image.open(folder / long) as picture:
        assert picture.format == "PNG"
    assert (folder / "link.png").is_symlink()
    assert (folder / long).stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("zip", "a.png"),
        ("commands", "a.py"),
        ("python", "a.sh"),
        ("animation", "a.png"),
        ("animation", "a"),
        ("png", "a.zip"),
    ],
)
def test_a_format_and_a_name_that_disagree(session: Invoke, folder: Path, kind: str, name: str) -> None:
    before = contents(folder)
    fails(session, "export", "--format", kind, "-o", name)
    assert contents(folder) == before


@pytest.mark.parametrize("kind", ["zip", "commands", "python", "png", "sheet"])
def test_a_name_without_an_ending_takes_any_format(session: Invoke, folder: Path, kind: str) -> None:
    assert parsed(session("export", "--format", kind, "-o", "a", "--json"))["format"] == kind
    assert (folder / "a").stat().st_size > 100


@pytest.mark.slow
def test_to_stdout_there_is_the_file_alone(session: Invoke, folder: Path) -> None:
    command = [sys.executable, "-c", programs.TOY, "export", "-o", "/dev/stdout", "--format", "png"]
    made = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, check=True)
    session("export", "-o", "same.png")
    assert made.stdout == (folder / "same.png").read_bytes()
    assert made.stderr == b"wrote /dev/stdout\n"


def test_a_turn_is_kept_where_its_file_cannot_be_written(
    session: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from undrift.cli import execution
    from undrift.errors import SessionError

    def full(*arguments: object) -> None:
        raise SessionError("cannot write 'x.png': no space left on device")

    monkeypatch.setattr(execution, "export_png", full)
    assert fails(session, "edit", "--caption", "a bird", *TOY, "-o", "x.png", "--quiet") == (
        "cannot write 'x.png': no space left on device; "
        "turn 3 is done and kept in undrift-session: write it with undrift export"
    )
    assert Session.open(folder / "undrift-session").head.prompt == "a bird"


@pytest.mark.parametrize(
    "arguments",
    [
        ("edit", SURROGATE, *TOY),
        ("edit", "--caption", "a cat", "--words", SURROGATE, *TOY),
        ("edit", "--caption", "a cat", "--source-prompt", SURROGATE, *TOY),
        ("edit", "--caption", "a cat", "--set", f"steps={SURROGATE}", *TOY),
        ("edit", "--caption", "a cat", "--method", SURROGATE),
        ("run", "cat.png", "-p", SURROGATE, "-e", "x", *TOY),
        ("run", "cat.png", "-p", "x", "-e", SURROGATE, *TOY),
        ("new", "cat.png", "-p", SURROGATE, "-s", "other"),
        ("branch", SURROGATE),
        ("checkout", SURROGATE),
        ("show", SURROGATE),
        ("show", f"--{SURROGATE}"),
        ("log", "-s", SURROGATE),
        ("new", "cat.png", "-p", "x", "-s", SURROGATE),
        ("new", SURROGATE, "-p", "x", "-s", "other"),
        ("edit", "--caption", "a cat", "--only", SURROGATE, *TOY),
        ("edit", "--caption", "a cat", "--reference", f"{SURROGATE}:0.5", *TOY),
        ("edit", "--caption", "a cat", "-o", f"{SURROGATE}.png", *TOY),
        ("export", "-o", f"{SURROGATE}.zip"),
        ("replay", "-o", SURROGATE),
        ("unpack", SURROGATE),
        ("info", SURROGATE),
        ("batch", f"{SURROGATE}.csv"),
        (SURROGATE,),
        ("log", "-s", ""),
        ("log", "-s", "a" * 300),
        ("log", "-s", "a\0"),
        ("new", "cat.png", "-p", "x", "-s", "a" * 300),
        ("new", "cat.png", "-p", "x", "-s", f"{'a' * 300}/b"),
        ("unpack", "x.zip", "-o", ""),
        ("replay", "-o", ""),
        ("demo", "-o", ""),
        ("edit", "--caption", "a cat", "--set", "steps=1" + "0" * 5000, *TOY),
        ("edit", "--caption", "a cat", "--set", "strength=NaN", *TOY),
        ("edit", "--caption", "a cat", "--set", "strength=1e999", *TOY),
        ("edit", "--caption", "a cat", "--set", "steps=100000000", *TOY),
        ("edit", "--caption", "a cat", "--set", "steps=" + "[" * 20_000, *TOY),
        ("edit", "--caption", "a cat", "--method", "multi_turn", "--guidance", "inf"),
        ("edit", "--caption", "a cat", "--method", "multi_turn", "--guidance", "1e300"),
        ("edit", "--caption", "a cat", "--method", "revert_unchanged", "--set", "smoothing=4"),
        ("edit", "--caption", "a cat", "--method", "steerflow", "--set", "closing=99999"),
        ("edit", "--caption", "a cat", "--seed", "1" + "0" * 5000),
        ("edtt", "a cat"),
        ("bench", "rnu"),
    ],
    ids=lambda arguments: " ".join(arguments)[:40].encode("ascii", "backslashreplace").decode(),
)
def test_wrong_input_is_refused_with_2_and_changes_nothing(
    session: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    from undrift.cli import execution

    def load(name: str, **options: object) -> None:
        raise AssertionError("refused before a model is loaded")

    monkeypatch.setattr(execution, "load", load)
    before = contents(folder)
    said = fails(session, *arguments, code=2)
    assert len(said) < 1500
    assert "\\udc" not in said, "a byte is shown as one"
    assert contents(folder) == before


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS])
def test_a_name_that_the_system_refuses_is_wrong_input(
    session: Invoke, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    from tests.cli.test_errors import broken

    broken(monkeypatch, OSError(number, "no", "name"))
    assert fails(session, "edit", "--caption", "a bird", *TOY, "--quiet", code=2).endswith(": name")


def test_long_picture_names_make_a_session(session: Invoke, folder: Path) -> None:
    name = f"{'ä' * 123}.png"
    (folder / name).write_bytes((folder / "cat.png").read_bytes())
    for _ in range(2):
        made = parsed(session("run", name, "-p", "a cat", "-e", "a bird", *TOY, "--json"))
        assert Session.open(folder / made["session"]).head.prompt == "a bird"


def test_every_string_is_held_to_be_text() -> None:
    def strings(command: click.Command) -> list[str]:
        own = [f"{command.name} {p.name}" for p in command.params if p.type is click.STRING]
        return own + [
            name
            for inner in (command.commands.values() if isinstance(command, click.Group) else ())
            for name in strings(inner)
        ]

    assert strings(cli) == []
