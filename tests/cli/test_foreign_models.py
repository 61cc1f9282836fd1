"""A model that a session names is not downloaded before somebody at this machine has said so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from tests.cli.conftest import Invoke
from tests.support.toy import ToyBackbone
from undrift.backbones.base import ModelIdentity
from undrift.backbones.locate import locate
from undrift.cli import execution
from undrift.errors import ModelError
from undrift.session.export import export_zip
from undrift.session.store import Session

FOREIGN = "stranger/model"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What the hub was asked: for each request, whether only what is here already was wanted."""
    requests: list[bool] = []

    def snapshot(name: str, *, local_files_only: bool = False, **options: Any) -> str:
        requests.append(local_files_only)
        raise LocalEntryNotFoundError("no network in tests")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    return requests


@pytest.fixture
def foreign(invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """A session that came as an archive and names a model of the hub; models are really looked for."""
    from undrift.backbones import load

    made = ToyBackbone()
    made.identity = ModelIdentity(FOREIGN, "toy-weights", "fp32", "cpu")
    monkeypatch.setattr(execution, "load", lambda name, **options: made)
    assert invoke("new", "cat.png", "-p", "a cat").exit_code == 0
    assert invoke("edit", "a bird", "--method", "toy").exit_code == 0
    export_zip(Session.open(folder / "undrift-session"), folder / "gift.zip")
    assert invoke("unpack", "gift.zip", "-o", "gift").exit_code == 0
    monkeypatch.setattr(execution, "load", load)
    return invoke


COMMANDS = (
    ("edit", "a cow"),
    ("rebase",),
    ("restore", "--brush", "cat.png"),
    ("replay",),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_hub_is_not_contacted(foreign: Invoke, asked: list[bool], command: tuple[str, ...]) -> None:
    result = foreign(*command, "-s", "gift")
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1] == (
        f"error: the session was made with another model: {FOREIGN} is not on this machine; "
        f"to download it, add: --model {FOREIGN}"
    )
    assert asked == [True]


def test_a_model_that_is_named_is_asked_for(foreign: Invoke, asked: list[bool]) -> None:
    result = foreign("edit", "a cow", "-s", "gift", "--model", FOREIGN)
    assert result.exit_code == 2
    assert asked == [False]


def test_a_confirmation_at_the_terminal_is_enough(
    foreign: Invoke, asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[str] = []

    def confirm(text: str, **options: Any) -> bool:
        questions.append(text)
        return True

    monkeypatch.setattr(click, "confirm", confirm)
    monkeypatch.setattr(execution, "_at_a_terminal", lambda: True)
    foreign("edit", "a cow", "-s", "gift")
    assert questions == [f"the session was made with {FOREIGN}, which is not on this machine: download it?"]
    assert asked == [True, False]


@pytest.mark.parametrize("name", ["~nobody/x", "a\0b", "x" * 5000, "/" + "y" * 300])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ModelError, match="no model"):
        locate(name)
