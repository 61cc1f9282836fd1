"""The command line in a folder of its own, with a toy model that takes milliseconds."""

from __future__ import annotations

import json
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


@pytest.fixture
def invoke(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs ``undrift`` with arguments; every model is the toy, and the method ``toy`` exists."""
    from undrift.cli import execution
    from undrift.methods import registry

    known = {**registry.all_methods(), "toy": ToyMethod}
    monkeypatch.setattr(registry, "all_methods", lambda: known)
    monkeypatch.setattr(execution, "load", lambda name, **options: ToyBackbone())

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments, prog_name="undrift")

    return run


@pytest.fixture
def session(invoke: Invoke) -> Invoke:
    """``invoke`` beside a session of two turns in ``undrift-session``."""
    assert invoke("new", "cat.png", "-p", "a cat").exit_code == 0
    for prompt in ("a cat with a hat", "a dog with a hat"):
        assert invoke("edit", prompt, "--method", "toy", "--seed", "1").exit_code == 0
    return invoke


def parsed(result: Result) -> dict[str, Any]:
    """The one JSON object on stdout."""
    assert result.exit_code == 0, result.stderr
    value: dict[str, Any] = json.loads(result.stdout)
    return value
