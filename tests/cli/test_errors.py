"""Every failure is one line that says what to do, with the right exit code, and leaves stdout empty."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from string import ascii_lowercase

import pytest

from tests.cli.conftest import Invoke
from tests.support.toy import ToyBackbone
from undrift.cli import logs
from undrift.cli.execution import advise
from undrift.littleworld import demo
from undrift.session.store import Session

RUN = ("run", "cat.png", "-p", "a cat")


def fails(invoke: Invoke, *arguments: str, code: int = 2) -> str:
    """The message of a failing command."""
    result = invoke(*arguments)
    assert result.exit_code == code, result.stdout + result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


def test_unknown_command(invoke: Invoke) -> None:
    assert fails(invoke, "edti") == "no command 'edti': did you mean 'edit'?"


def test_no_command_shows_the_overview(invoke: Invoke) -> None:
    result = invoke()
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: undrift")


def test_debug_may_stand_before_the_command(session: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, KeyError("surprise"))
    assert "Traceback" in session("--debug", "edit", "--caption", "a bird", "--method", "toy").stderr


def test_unknown_option_and_missing_argument(invoke: Invoke) -> None:
    assert "--prompt" in fails(invoke, "new", "cat.png")
    assert fails(invoke, *RUN, "-e", "a dog", "--stepps", "2").startswith("No such option")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "multi_tun"), "no method 'multi_tun': did you mean 'multi_turn'?"),
        (("--method", "multi_turn", "--preset", "papper"), "no preset of multi_turn 'papper': did you mean 'paper'?"),
        (("--set", "skiped=0.3"), "no parameter named 'skiped', expected one of"),
        (("--set", "gain"), "--set gain: expected NAME=VALUE"),
        (("--set", "strong=7"), "parameter strong=7:"),
        (("--steps", "0"), "parameter steps=0:"),
        (("--words", "cat", "--words", "dog"), "--words is given 2 times for 1 edits"),
        (("-e", "  "), "--edit number 2 is empty"),
    ],
)
def test_wrong_choices_are_refused_before_a_session_exists(
    invoke: Invoke, folder: Path, options: tuple[str, ...], message: str
) -> None:
    assert fails(invoke, *RUN, "-e", "a dog", *options).startswith(message)
    assert [path.name for path in folder.iterdir()] == ["cat.png"]


def test_unknown_model(folder: Path) -> None:
    from click.testing import CliRunner

    from undrift.cli.main import cli

    result = CliRunner().invoke(cli, [*RUN, "-e", "a dog", "--model", "no such model"], prog_name="undrift")
    assert result.exit_code == 2
    assert "no model 'no such model'" in result.stderr


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "no picture at 'bad.png'"),
        (b"", "is empty"),
        (b"text", "is not a picture"),
        (b"\x89PNG\r\n\x1a\n", "'bad.png'"),
    ],
)
def test_unreadable_picture(invoke: Invoke, folder: Path, data: bytes | None, message: str) -> None:
    if data is not None:
        (folder / "bad.png").write_bytes(data)
    assert message in fails(invoke, "run", "bad.png", "-p", "a cat", "-e", "a dog")
    assert message in fails(invoke, "new", "bad.png", "-p", "a cat")


def test_no_session_here(invoke: Invoke) -> None:
    assert fails(invoke, "log").startswith("no session here: start one with 'undrift new IMAGE")
    assert "missing" in fails(invoke, "log", "-s", "missing")


def test_session_folder_in_use(session: Invoke) -> None:
    assert "already exists" in fails(session, "new", "cat.png", "-p", "a cat")


def test_unknown_turn(session: Invoke) -> None:
    assert "no turn '7' in this session" in fails(session, "show", "7")
    assert "no turn 'nope'" in fails(session, "edit", "--caption", "a dog", "--from", "nope")
    assert "no turn '7'" in fails(session, "compare", "0", "7")


@pytest.mark.parametrize("option", ["--method", "--preset", "--model", "--device", "--editor", "--revision", "--llm"])
@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_name_is_not_taken_for_none(session: Invoke, option: str, empty: str) -> None:
    """As from a variable of a shell that is not set."""
    said = fails(session, "edit", "a dog", option, empty, "--quiet")
    assert said.startswith(f"Invalid value for '{option}'")
    assert "an empty name was given: name one, or leave the option out" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("new", "", "-p", "a cat"),
        ("run", "", "-p", "a cat", "-e", "a dog"),
        ("edit", "a dog", "--only", ""),
        ("edit", "a dog", "--protect", ""),
        ("edit", "a dog", "--reference", ""),
        ("edit", "a dog", "--lora", ""),
        ("edit", "a dog", "--transformer", ""),
        ("restore", "--brush", ""),
        ("replay", "--image", ""),
        ("unpack", ""),
        ("info", ""),
        ("batch", ""),
        ("doctor", ""),
        ("bench", "report", ""),
    ],
    ids=" ".join,
)
def test_an_empty_path_is_not_taken_for_the_current_folder(session: Invoke, arguments: tuple[str, ...]) -> None:
    assert "an empty name was given" in fails(session, *arguments, "--quiet" if arguments[0] == "edit" else "--json")


@pytest.mark.parametrize(
    "prompt", ["x" * 200_000, " ".join(a + b + c for a, b, c in product(ascii_lowercase, repeat=3))]
)
def test_a_note_on_what_a_model_does_not_know_stays_short(prompt: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = ToyBackbone()
    model.capabilities = replace(model.capabilities, vocabulary=("cat",))
    advise(model, demo.picture(), [prompt])
    said = capsys.readouterr().err
    assert said.startswith("note: the model toy does not know the words: ")
    assert len(said) < 1500


def test_empty_edit(session: Invoke) -> None:
    assert "empty" in fails(session, "edit", "  ", "--method", "toy", "--quiet")


def test_word_that_is_not_in_the_prompt(session: Invoke) -> None:
    message = fails(session, "edit", "--caption", "a dog", "--words", "hat", "--method", "multi_turn", "--quiet")
    assert message.startswith("word 'hat' is not in the prompt 'a dog'")


def test_export_without_a_kind(session: Invoke) -> None:
    assert fails(session, "export", "-o", "turn").startswith("'turn': say what to write with --format")


def test_info_of_a_foreign_picture(invoke: Invoke) -> None:
    assert "carries no undrift metadata" in fails(invoke, "info", "cat.png")


def broken(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make every turn's work end with ``error``."""

    def decode(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(ToyBackbone, "decode", decode)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("surprise"), "unexpected KeyError: 'surprise' (add --debug to see the traceback)"),
        (MemoryError(), "not enough memory: try --offload"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory: try --offload"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
    ],
)
def test_unexpected_failures(
    session: Invoke, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    broken(monkeypatch, error)
    assert fails(session, "edit", "--caption", "a bird", "--method", "toy", "--quiet", code=1).startswith(message)


def test_gpu_out_of_memory_gives_advice(session: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    broken(monkeypatch, torch.OutOfMemoryError("CUDA out of memory"))
    assert fails(session, "edit", "--caption", "a bird", "--method", "toy", "--quiet", code=1).startswith(
        "not enough memory"
    )


def test_debug_shows_the_traceback(session: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, KeyError("surprise"))
    result = session("edit", "--caption", "a bird", "--method", "toy", "--debug")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr


def test_a_failed_turn_leaves_the_session_as_it_was(
    session: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, KeyError("surprise"))
    session("edit", "--caption", "a bird", "--method", "toy")
    opened = Session.open(folder / "undrift-session")
    assert len(opened.turns()) == 3
    assert opened.unfinished() == ()


def test_ctrl_c_at_once_keeps_what_is_done(session: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, KeyboardInterrupt())
    result = session("edit", "--caption", "a bird", "--method", "toy", "--quiet")
    assert result.exit_code == 130
    assert result.stderr == (
        'stopped: 0 of 1 turns are done and kept in undrift-session; go on with: undrift edit "..."\n'
    )


FILES = ("pictures/{}.png", "latents/{}.safetensors", "masks/{}.png")
OF_FILES = (
    ("edit", "--caption", "a bird"),
    ("edit", "make the dog blue"),
    ("export", "-o", "x.zip"),
    ("restore", "--brush", "cat.png"),
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("what", ["missing", "a pipe", "another"])
def test_a_file_that_cannot_be_read_is_one_line_before_the_work(
    session: Invoke, folder: Path, name: str, what: str
) -> None:
    opened = Session.open(folder / "undrift-session")
    path = opened.folder / name.format(opened.head.id)
    path.unlink()
    if what == "a pipe":
        os.mkfifo(path)
    elif what == "another":
        path.write_bytes(b"another")
    for command in OF_FILES:
        assert path.name in fails(session, *command), command
    assert sorted(item.name for item in folder.iterdir()) == ["cat.png", "undrift-session"]


def test_what_a_model_lacks_is_one_line_before_the_work(session: Invoke) -> None:
    edit = ("edit", "--caption", "a bird", "--method")
    assert fails(session, *edit, "null_text").startswith("method 'null_text' needs layers")
    assert fails(session, *edit, "instruct").startswith("method 'instruct' needs an editor")
    assert fails(session, *edit, "toy", "--reference", "cat.png").startswith("method 'toy' takes no reference")


def test_nothing_is_noted_of_a_session_that_cannot_begin(session: Invoke, folder: Path) -> None:
    (folder / "taken").mkdir()
    (folder / "taken" / "x").touch()
    taken = "'taken' already exists"
    assert fails(session, "new", "cat.png", "-p", "", "-s", "taken").startswith(taken)
    assert fails(session, *RUN[:2], "-p", "", "--say", "a dog", "-s", "taken").startswith(taken)
    assert fails(session, "replay", "-o", "taken").startswith(taken)


def test_a_turn_writes_no_empty_line(session: Invoke) -> None:
    told = session("edit", "--caption", "a bird", "--method", "toy").stderr.splitlines()
    assert told[0] == "read as a caption"
    assert all(told)


def test_a_damaged_session_is_one_line(session: Invoke, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "undrift-session" / "session.sqlite", isolation_level=None)) as db:
        db.execute("DELETE FROM head")
    for command in (("log",), ("show",), ("edit", "--caption", "a bird"), ("export", "-o", "x.zip"), ("undo",)):
        assert fails(session, *command) == "the session 'undrift-session' is damaged: it has no head"
    assert not (folder / "x.zip").exists()


def test_what_torchao_says_when_it_is_loaded_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """diffusers loads it unasked where it is installed; without a GPU it tells of four kernels."""
    names = "torchao", "torch.utils._pytree"
    with logs.quiet():
        for name in names:
            logging.getLogger(name).warning("Failed to load _C_cutlass_90a.abi3.so")
        assert not caplog.records
        logs.loud()
        logging.getLogger(names[0]).warning("shown with --debug")
        assert len(caplog.records) == 1
    assert [logging.getLogger(name).level for name in names] == [logging.NOTSET] * 2
