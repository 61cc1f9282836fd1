"""The command line in a folder of its own, with a toy model that takes milliseconds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.cli.main import cli

Invoke = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a picture ``cat.png`` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNDRIFT_SESSION", raising=False)
    toy_picture().save(tmp_path / "cat.png")
    return tmp_path


def run(*arguments: str) -> Result:
    """``undrift`` with arguments."""
    return CliRunner().invoke(cli, arguments, prog_name="undrift")


def use_toys(patch: pytest.MonkeyPatch) -> None:
    """Every model is the toy, and the method ``toy`` exists."""
    from undrift.cli import execution
    from undrift.methods import registry

    known = {**registry.all_methods(), "toy": ToyMethod}
    patch.setattr(registry, "all_methods", lambda: known)
    patch.setattr(execution, "load", lambda name, **options: ToyBackbone())


@pytest.fixture
def invoke(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs ``undrift`` with arguments, with toys."""
    use_toys(monkeypatch)
    return run


@pytest.fixture(scope="session")
def two_turns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a session of two turns, made by the command line. Read only."""
    folder = tmp_path_factory.mktemp("two") / "undrift-session"
    toy_picture().save(folder.parent / "cat.png")
    where = ("--session", str(folder))
    with pytest.MonkeyPatch.context() as patch:
        use_toys(patch)
        assert run("new", str(folder.parent / "cat.png"), "-p", "a cat", *where).exit_code == 0
        for prompt in ("a cat with a hat", "a dog with a hat"):
            assert run("edit", prompt, "--method", "toy", "--seed", "1", *where).exit_code == 0
    return folder


@pytest.fixture
def session(two_turns: Path, folder: Path, invoke: Invoke) -> Invoke:
    """``invoke`` beside a copy of that session, ``undrift-session``."""
    shutil.copytree(two_turns, folder / "undrift-session")
    return invoke


def parsed(result: Result) -> dict[str, Any]:
    """The one JSON object on stdout."""
    assert result.exit_code == 0, result.stderr
    value: dict[str, Any] = json.loads(result.stdout)
    return value
