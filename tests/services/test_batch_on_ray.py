"""A batch's rows on the workers of a cluster: the same sessions as in this process, whoever dies meanwhile."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import undrift.backbones
from tests.bench.runner.fake_ray import FakeRay
from tests.support import tiny_pipelines
from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.backbones import editors
from undrift.backbones.folder import ModelFolder
from undrift.cli import execution
from undrift.cli.main import cli
from undrift.methods import registry
from undrift.methods.instruct import Instruct
from undrift.session.store import Session

ROWS = """id,picture,prompt,turn1,turn2
a,cat.png,a red cat,make the cat blue,add a hat
b,cat.png,a cat,a dog,
c,cat.png,a cat,make the horse red,
"""


@pytest.fixture(autouse=True)
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of three rows, one of which cannot be made; every model is the toy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "all_methods", lambda: {"toy": ToyMethod})
    monkeypatch.setattr(undrift.backbones, "load", lambda name, **options: ToyBackbone())
    monkeypatch.setattr(execution, "load", lambda name, **options: ToyBackbone())
    toy_picture(40, 32).save(tmp_path / "cat.png")
    (tmp_path / "t.csv").write_text(ROWS, "utf-8")
    return tmp_path / "t.csv"


def batch(*more: str) -> Result:
    return CliRunner().invoke(cli, ["batch", "t.csv", "--method", "toy", "--seed", "3", *more], prog_name="undrift")


def made(folder: str) -> dict[str, list[tuple[str, str]]]:
    """The captions and pictures of every session."""
    sessions = sorted(Path(folder, "sessions").iterdir())
    return {each.name: [(t.prompt, t.image_hash) for t in Session.open(each).turns()] for each in sessions}


def test_the_rows_are_those_that_this_process_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    spread, here = batch("-o", "spread", "--ray", "local:2"), batch("-o", "here")
    assert (spread.exit_code, here.exit_code) == (1, 1)
    assert spread.stdout.replace("spread", "here") == here.stdout
    assert "c: the caption has no 'the horse'" in spread.stdout
    assert made("spread") == made("here")
    lines = [json.loads(line) for line in Path("spread/results.jsonl").read_text("utf-8").splitlines()]
    assert [(line["id"], len(line["turns"]), line["session"]) for line in lines] == [
        ("a", 3, "sessions/a"),
        ("b", 2, "sessions/b"),
        ("c", 1, "sessions/c"),
    ]
    assert Path("spread/report.html").is_file()
    assert (ray.hired, ray.down) == (2, True)


def test_the_row_of_a_worker_that_dies_is_made_by_its_successor_and_one_that_kills_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", FakeRay(lambda row, given_up: str(row) == "b" and given_up is None))
    result = batch("--ray", "local:2")
    assert result.exit_code == 1
    assert "b: 3 workers died of it; a smaller picture, or fewer workers, need less memory" in result.stdout
    assert len(made("t")["a"]) == 3
    monkeypatch.setitem(sys.modules, "ray", FakeRay())
    assert "2 of 3 rows are finished" in batch("--ray", "local:1").stdout


def test_a_worker_finds_what_is_named_from_where_the_command_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray begins its processes in a folder of its own; models, adapters and editors are named from the command's."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "my-model").mkdir()
    found: list[bool] = []

    class Elsewhere(FakeRay):
        def remote(self, kind: type) -> Any:
            monkeypatch.chdir(tmp_path / "elsewhere")
            return super().remote(kind)

    def load(name: str, **options: object) -> ToyBackbone:
        found.append(Path(name).is_dir())
        return ToyBackbone()

    monkeypatch.setattr(undrift.backbones, "load", load)
    monkeypatch.setitem(sys.modules, "ray", Elsewhere())
    assert "2 of 3 rows are finished" in batch("--ray", "local:2", "--model", "my-model").stdout
    assert found == [True, True]


def test_a_captioning_model_that_is_none_is_said_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("t.csv").write_text("picture,turn\ncat.png,add a hat\n", "utf-8")
    monkeypatch.setitem(sys.modules, "ray", FakeRay())
    Path("none").mkdir()
    result = batch("--ray", "local:1", "--caption-model", "none")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "--caption-model none cannot be used" in result.stderr


@pytest.mark.slow
def test_every_worker_is_told_of_the_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody names there is not fetched, so a worker names what the command named."""
    klein = str(tiny_pipelines.saved("flux2", tmp_path / "klein"))
    named: list[str] = []
    look_for = editors.name_editor

    def name_editor(name: str) -> ModelFolder:
        named.append(name)
        return look_for(name)

    monkeypatch.setattr(editors, "name_editor", name_editor)
    monkeypatch.setattr(registry, "all_methods", lambda: {"instruct": Instruct})
    monkeypatch.setitem(sys.modules, "ray", FakeRay())
    Path("t.csv").write_text("id,picture,prompt,turn\na,cat.png,a cat,paint it red\n", "utf-8")
    asked = ["batch", "t.csv", "--ray", "local:1", "--editor", klein, "--set", "steps=2"]
    result = CliRunner().invoke(cli, asked, prog_name="undrift")
    assert result.exit_code == 0, result.output
    assert named == [klein, klein], "by the command, and by its worker"
    spec = Session.open("t/sessions/a").head.spec
    assert spec is not None
    assert (spec.method, spec.params["editor"], spec.instruction) == ("instruct", klein, "paint it red")
