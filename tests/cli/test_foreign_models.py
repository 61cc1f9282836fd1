"""A model that a session names is not downloaded before somebody at this machine has said so."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
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
from undrift.backbones.named import was_named
from undrift.cli import execution
from undrift.cli.options import PLACEMENT, ModelChoice
from undrift.errors import ModelError, UndriftError
from undrift.pictures import read_picture
from undrift.session.engine import start_session
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
def foreign(invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Invoke:
    """A session that came as an archive and names a model of the hub; models are really looked for."""
    from undrift.backbones import load

    made = ToyBackbone()
    made.identity = ModelIdentity(getattr(request, "param", FOREIGN), "toy-weights", "fp32", "cpu")
    monkeypatch.setattr(execution, "load", lambda name, **options: made)
    assert invoke("new", "cat.png", "-p", "a cat").exit_code == 0
    assert invoke("edit", "--caption", "a bird", "--method", "toy").exit_code == 0
    export_zip(Session.open(folder / "undrift-session"), folder / "gift.zip")
    assert invoke("unpack", "gift.zip", "-o", "gift").exit_code == 0
    monkeypatch.setattr(execution, "load", load)
    return invoke


COMMANDS = (
    ("edit", "--caption", "a cow"),
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
    result = foreign("edit", "--caption", "a cow", "-s", "gift", "--model", FOREIGN)
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
    foreign("edit", "--caption", "a cow", "-s", "gift")
    assert questions == [f"the session was made with {FOREIGN}, which is not on this machine: download it?"]
    assert asked == [True, False]


@pytest.mark.parametrize("name", ["~nobody/x", "a\0b", "x" * 5000, "/" + "y" * 300])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ModelError, match="no model"):
        locate(name)


@pytest.mark.parametrize("file", ["x.sh", "x.py"])
def test_what_running_an_exported_script_would_fetch_is_said(foreign: Invoke, asked: list[bool], file: str) -> None:
    result = foreign("export", "-s", "gift", "-o", file)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == f"note: running it takes the model {FOREIGN}, which is not on this machine\n"
    assert asked == [True]


FOLDERS = ("/somewhere/a model", "./gift/model", "~/model", "//elsewhere.example/share/model", "/dev/zero", "a\0b")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("foreign", FOLDERS, indirect=True)
def test_a_folder_that_nobody_named_here_is_not_looked_at(
    foreign: Invoke, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    looked_at: list[str] = []
    monkeypatch.setattr("undrift.backbones.locate.existing", looked_at.append)
    result = foreign(*command, "-s", "gift")
    assert result.exit_code == 2, result.output
    last = result.stderr.splitlines()[-1]
    assert "is a folder that nobody named on this machine before; to open it, add: --model" in last
    assert looked_at == []


@pytest.fixture
def own_model(invoke: Invoke, tiny_flux_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """A session of a local folder's model, started from Python: nobody has named the folder on the command line."""
    from undrift.backbones import load

    monkeypatch.setattr(execution, "load", load)
    monkeypatch.setenv("XDG_STATE_HOME", str(Path.cwd() / "state"))
    start_session(
        Path("undrift-session"), read_picture("cat.png"), "a cat", load(str(tiny_flux_folder), device="cpu")
    )
    return invoke


def test_a_folder_is_named_once(own_model: Invoke, tiny_flux_folder: Path) -> None:
    edit = ("edit", "--caption", "a dog", "--method", "no_edit", "--quiet")
    refused = own_model(*edit)
    assert refused.exit_code == 2
    assert f"to open it, add: --model {tiny_flux_folder}" in refused.stderr
    named = own_model(*edit, "--model", f"{tiny_flux_folder}/../{tiny_flux_folder.name}")
    assert named.exit_code == 0, named.stderr
    assert own_model(*edit, "--from", "original").exit_code == 0
    assert not was_named(f"{tiny_flux_folder}-other")


def test_a_state_that_cannot_be_kept_is_no_failure(
    own_model: Invoke, tiny_flux_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("blocked").write_text("no folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(Path.cwd() / "blocked"))
    result = own_model("edit", "--caption", "a dog", "--method", "no_edit", "--model", str(tiny_flux_folder))
    assert result.exit_code == 0, result.stderr
    assert not was_named(str(tiny_flux_folder))


def test_a_record_that_names_another_model_than_its_latent_is_not_continued(foreign: Invoke) -> None:
    folder = Path("undrift-session")
    with closing(sqlite3.connect(folder / "session.sqlite", isolation_level=None)) as db:
        db.execute("DROP TRIGGER turns_fixed")
        db.execute(f"UPDATE turns SET record = replace(record, '{FOREIGN}', 'black-forest-labs/FLUX.1-dev')")
    continued = (
        ("edit", "--caption", "a cow"),
        ("restore", "--brush", "cat.png"),
        ("edit", "--caption", "a cow", "--model", "littleworld"),
    )
    for command in continued:
        result = foreign(*command, "-s", str(folder))
        assert result.exit_code == 2, (command, result.output)
        assert "was made by the model black-forest-labs/FLUX.1-dev (toy-weights) as its record says, and by" in (
            result.stderr
        ), command


EDITOR = "stranger/editor"
GOING_ON = (("edit", "--caption", "a cow"), ("replay",))


def by_an_editor(name: str) -> None:
    """Have the session's turns say that an editor by instructions of this name made them."""
    with closing(sqlite3.connect("undrift-session/session.sqlite", isolation_level=None)) as db:
        db.execute("DROP TRIGGER turns_fixed")
        for key, text in db.execute("SELECT id, record FROM turns WHERE parent IS NOT NULL").fetchall():
            record = json.loads(text)
            record["spec"].update(method="instruct", preset="default", params={"editor": name})
            db.execute("UPDATE turns SET record = ? WHERE id = ?", (json.dumps(record), key))


@pytest.mark.parametrize("command", GOING_ON)
def test_an_editor_that_a_session_names_is_not_fetched(
    session: Invoke, asked: list[bool], command: tuple[str, ...]
) -> None:
    by_an_editor(EDITOR)
    result = session(*command)
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1] == (
        f"error: the editor is {EDITOR}, which is not on this machine: to use it, add: --editor {EDITOR}"
    )
    assert set(asked) == {True}
    asked.clear()
    assert session(*command, "--editor", EDITOR).exit_code == 2
    assert asked[0] is False, "what is named here is asked for"


@pytest.mark.parametrize("command", GOING_ON)
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_an_editor_that_nobody_named_here_is_not_looked_at(
    session: Invoke, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], name: str
) -> None:
    by_an_editor(name)
    looked_at: list[str] = []
    monkeypatch.setattr("undrift.backbones.locate.existing", looked_at.append)
    result = session(*command)
    assert result.exit_code == 2, result.output
    assert "is a folder that nobody named on this machine before: to use it, add: --editor" in result.stderr
    assert looked_at == []


ELSEWHERE = (
    *({"device": device} for device in ("meta", "xla", "vulkan:0", "cuda:127", "cuda:256", "cuda:x", "x" * 9999)),
    {"device": "auto", "offload": "model", "dtype": "bf16"},
    {"quantize": "nf4"},
)


@pytest.mark.parametrize("held", ELSEWHERE, ids=str)
def test_a_session_of_another_machine_is_held_as_is_usual_here(
    session: Invoke, monkeypatch: pytest.MonkeyPatch, held: dict[str, str]
) -> None:
    used: list[dict[str, Any]] = []

    def load(name: str, **options: Any) -> ToyBackbone:
        used.append(options)
        return ToyBackbone()

    monkeypatch.setattr(execution, "load", load)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    (Path("undrift-session") / "placement.json").write_text(json.dumps(held))
    assert session("edit", "--caption", "a cow", "--method", "toy").exit_code == 0
    assert {name: used[-1][name] for name in PLACEMENT} == ModelChoice(None, None, None, None, None).held


@pytest.mark.parametrize("device", ["meta", "xla", "vulkan:0", "cuda:127", "cuda:256", "x" * 9999])
def test_devices_that_are_none(device: str) -> None:
    from undrift.backbones import load

    with pytest.raises(UndriftError, match="device is '"):
        load("littleworld", device=device)


@pytest.mark.parametrize("file", ["x.sh", "x.py"])
def test_a_script_of_turns_that_disagree_is_not_half_written(session: Invoke, file: str) -> None:
    with closing(sqlite3.connect("undrift-session/session.sqlite", isolation_level=None)) as db:
        db.execute("DROP TRIGGER turns_fixed")
        db.execute('UPDATE turns SET record = replace(record, \'"weights_hash":"toy\', \'"weights_hash":"other\')')
    result = session("export", "-o", file)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "as its latent does" in result.stderr
    assert not Path(file).exists()
