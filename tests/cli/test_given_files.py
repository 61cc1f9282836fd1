"""``--transformer`` and ``--lora``: a session goes on with them, or says in one line which to give."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.cli.conftest import run
from tests.support.adapters import lora_file
from tests.support.toy import toy_picture
from tests.support.weight_files import transformer_weights

QUICK = ("--method", "multi_turn", "--steps", "2")


class Work:
    """A folder with a picture, a model, an adapter and a transformer's file."""

    def __init__(self, path: Path, model: Path) -> None:
        self.model = str(shutil.copytree(model, path / "model"))
        self.lora = lora_file(path / "style.safetensors")
        self.transformer = path / "other.safetensors"
        weights = {key: tensor * 1.1 for key, tensor in transformer_weights(model).items()}
        save_file(weights, self.transformer)

    def start(self, *options: str) -> None:
        toy_picture(40, 24).save("cat.png")
        done("new", "cat.png", "-p", "a cat", "--model", self.model, *options, "--json")


def done(*command: str) -> dict[str, Any]:
    result = run(*command)
    assert result.exit_code == 0, result.stderr
    made: dict[str, Any] = json.loads(result.stdout)
    return made


def edit(*options: str) -> dict[str, Any]:
    """What the record of one more turn says."""
    spec: dict[str, Any] = done("edit", "--caption", "a dog", *QUICK, *options, "--json")["spec"]
    return spec


def refused(*command: str) -> str:
    before = run("log", "--json").stdout
    result = run(*command)
    assert result.exit_code == 2
    assert run("log", "--json").stdout == before
    (line,) = [each for each in result.stderr.splitlines() if each.startswith("error:")]
    return line


@pytest.fixture
def work(folder: Path, tiny_flux_folder: Path) -> Work:
    return Work(folder, tiny_flux_folder)


def test_a_session_goes_on_with_its_adapters_until_it_is_told_otherwise(work: Work) -> None:
    work.start("--lora", f"{work.lora}:0.5")
    first, second = edit(), edit()
    assert [label.partition("@")[0] for label in first["loras"]] == ["style.safetensors:0.5"]
    assert (second["loras"], second["weights_hash"]) == (first["loras"], first["weights_hash"])
    other = edit("--lora", f"{work.lora}:0.25")
    assert other["loras"][0].startswith("style.safetensors:0.25@")
    assert edit()["loras"] == other["loras"], "of the turn that is gone on from, not of the first"
    assert edit("--from", "1")["loras"] == first["loras"], "and of an earlier one its own"
    plain = edit("--lora", "none")
    assert (plain["loras"], edit()["loras"]) == ([], [])
    assert plain["weights_hash"] != first["weights_hash"]


def test_leaving_one_out_is_said(work: Work) -> None:
    work.start("--lora", str(work.lora))
    assert (
        "note: the turn before was made with style.safetensors:1, which this one is not"
        in run("edit", "--caption", "a dog", *QUICK, "--lora", "none").stderr
    )
    quiet = run("edit", "--caption", "a cow", *QUICK)
    assert "note: the turn before was made" not in quiet.stderr


def test_a_session_goes_on_with_its_transformer(work: Work) -> None:
    work.start("--transformer", str(work.transformer))
    first = edit()
    (option,) = first["options"]
    assert option.startswith("transformer=other.safetensors@")
    assert edit("--lora", str(work.lora))["options"] == [option], "an adapter is added to it"
    own = edit("--transformer", "none", "--lora", "none")
    assert own["options"] == []
    assert own["weights_hash"] != first["weights_hash"]


def test_a_file_that_is_gone_ends_the_command_until_it_is_given_again(work: Work, folder: Path) -> None:
    work.start("--lora", f"{work.lora}:0.5")
    first = edit()
    (folder / "moved").mkdir()
    moved = work.lora.rename(folder / "moved" / "style.safetensors")
    line = refused("edit", "--caption", "a dog", *QUICK)
    assert line == (
        f"error: the session was made with style.safetensors, which is no longer at {work.lora}: add --lora"
        " style.safetensors:0.5 with the path, or --lora none to go on without"
    )
    again = edit("--lora", f"{moved}:0.5")
    assert again["weights_hash"] == first["weights_hash"]
    assert edit()["weights_hash"] == first["weights_hash"]
    lora_file(moved, seed=7)
    assert f"style.safetensors, which is another file at {moved} now" in refused("edit", "--caption", "a dog", *QUICK)


def test_another_machine_opens_no_file_that_nobody_gave_there(
    work: Work, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.start("--transformer", str(work.transformer), "--lora", str(work.lora))
    edit()
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "another"))
    options = ("edit", "--caption", "a dog", *QUICK, "--model", work.model)
    assert "other.safetensors, which was never given on this machine: add --transformer other" in refused(*options)
    line = refused(*options, "--transformer", str(work.transformer))
    assert "style.safetensors, which was never given on this machine: add --lora style.safetensors:1 with" in line


def test_a_replay_has_the_files_of_each_turn(work: Work) -> None:
    work.start()
    edit("--lora", f"{work.lora}:0.5")
    edit("--lora", "none", "--transformer", str(work.transformer))
    made = done("log", "--json")
    again = run("replay", "-o", "again")
    assert (again.exit_code, "its picture will be another" in again.stderr) == (0, False)
    copied = done("log", "--json", "-s", "again")
    assert [turn["image_hash"] for turn in copied["turns"]] == [turn["image_hash"] for turn in made["turns"]]
    work.lora.unlink()
    assert "style.safetensors, which is no longer at" in refused("replay", "-o", "third")
    assert not Path("third").exists()


def test_exported_commands_and_scripts_name_them(work: Work) -> None:
    work.start("--lora", f"{work.lora}:0.5", "--transformer", str(work.transformer))
    edit()
    assert run("export", "-o", "turns.sh").exit_code == 0
    assert f"--transformer {work.transformer} --lora {work.lora}:0.5" in Path("turns.sh").read_text()
    assert run("export", "-o", "turns.py").exit_code == 0
    text = Path("turns.py").read_text()
    assert f"'transformer': '{work.transformer}'" in text
    assert f"'loras': ('{work.lora}:0.5',)" in text


def test_weights_that_changed_under_their_name_are_said(work: Work) -> None:
    work.start()
    file = Path(work.model) / "transformer" / "diffusion_pytorch_model.safetensors"
    save_file({key: tensor * 1.1 for key, tensor in load_file(file).items()}, file)
    said = run("edit", "--caption", "a dog", *QUICK).stderr
    assert f"note: the turn before was made by other weights of {work.model}" in said
