"""Every command does its job on the toy model and says so in text and in JSON."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Invoke, parsed
from tests.support.toy import ToyBackbone
from undrift.pictures import read_metadata
from undrift.session.store import Session

TURN_KEYS = {
    *("session", "id", "number", "parent", "kind", "prompt", "spec", "restore"),
    *("image", "latent", "mask", "region_file", "image_hash", "latent_hash", "mask_hash"),
    *("width", "height", "token_side"),
    *("evaluations", "sample_evaluations", "seconds", "drift_original", "drift_previous", "created"),
}
TOY = ("--method", "toy", "--seed", "1")


def test_run_makes_a_session_with_one_turn_per_edit(invoke: Invoke, folder: Path) -> None:
    result = parsed(invoke("run", "cat.png", "-p", "a cat", "-e", "a dog", "-e", "a cow", *TOY, "--json"))
    assert [turn["prompt"] for turn in result["turns"]] == ["a dog", "a cow"]
    assert all(turn.keys() == TURN_KEYS for turn in result["turns"])
    assert [turn["evaluations"] for turn in result["turns"]] == [4, 4]
    assert len(Session.open(folder / result["session"]).turns()) == 3


def test_run_names_new_folders_and_never_reuses_one(invoke: Invoke) -> None:
    runs = [parsed(invoke("run", "cat.png", "-p", "a cat", "-e", "a dog", *TOY, "--json")) for _ in range(2)]
    assert [run["session"] for run in runs] == ["undrift-cat", "undrift-cat-2"]


def test_run_prints_a_table_and_the_way_on(invoke: Invoke) -> None:
    result = invoke("run", "cat.png", "-p", "a cat", "-e", "a dog", *TOY)
    assert result.exit_code == 0
    assert "a dog" in result.stdout
    assert "NFE" in result.stdout
    assert "go on with: undrift edit -s undrift-cat" in result.stdout
    assert result.stderr == "" or "turn 1/1: a dog" in result.stderr


def test_run_gives_each_edit_its_words(invoke: Invoke) -> None:
    edits = ("-e", "a red dog", "-e", "a red cow")
    result = parsed(invoke("run", "cat.png", "-p", "a cat", *edits, "--words", "", "--words", "null", *TOY, "--json"))
    assert [turn["spec"]["words"] for turn in result["turns"]] == [[], None]


def test_run_equals_new_and_edit(invoke: Invoke) -> None:
    in_one_go = parsed(invoke("run", "cat.png", "-p", "a cat", "-e", "a dog", "-e", "a cow", *TOY, "--json"))
    invoke("new", "cat.png", "-p", "a cat")
    by_steps = [parsed(invoke("edit", prompt, *TOY, "--json")) for prompt in ("a dog", "a cow")]
    assert [t["image_hash"] for t in by_steps] == [t["image_hash"] for t in in_one_go["turns"]]


def test_output_writes_the_last_picture_with_its_history(invoke: Invoke, folder: Path) -> None:
    invoke("run", "cat.png", "-p", "a cat", "-e", "a dog", "-e", "a cow", "-o", "cow.png", *TOY)
    assert [turn["prompt"] for turn in read_metadata(folder / "cow.png")["turns"]] == ["a cat", "a dog", "a cow"]


def test_quiet_leaves_stderr_empty(invoke: Invoke) -> None:
    assert invoke("run", "cat.png", "-p", "a cat", "-e", "a dog", *TOY, "--quiet").stderr == ""


def test_session_comes_from_the_environment(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDRIFT_SESSION", "elsewhere")
    assert parsed(invoke("new", "cat.png", "-p", "a cat", "--json"))["session"] == "elsewhere"
    assert parsed(invoke("log", "--json"))["session"] == "elsewhere"


def test_session_is_the_current_folder(session: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "undrift-session")
    assert parsed(session("show", "--json"))["prompt"] == "a dog with a hat"


def test_edit_from_another_turn(session: Invoke) -> None:
    made = parsed(
        session("edit", "--caption", "a bird", "--from", "1", "--source-prompt", "an animal", *TOY, "--json")
    )
    assert made["number"] == 2
    assert made["spec"]["source_prompt"] == "an animal"


@pytest.mark.parametrize(
    ("options", "params"),
    [
        (("--steps", "2"), {"steps": 2, "strength": 0.6, "masked": True}),
        (("--set", "strength=0.3", "--set", "masked=false"), {"steps": 4, "strength": 0.3, "masked": False}),
        (("--preset", "global"), {"steps": 4, "strength": 0.6, "masked": False}),
        (("--steps", "2", "--set", "steps=3"), {"steps": 3, "strength": 0.6, "masked": True}),
    ],
)
def test_method_options_reach_the_record(
    session: Invoke, options: tuple[str, ...], params: dict[str, object]
) -> None:
    assert parsed(session("edit", "--caption", "a bird", *TOY, *options, "--json"))["spec"]["params"] == params


def test_handover_is_recorded(session: Invoke) -> None:
    assert (
        parsed(session("edit", "--caption", "a bird", *TOY, "--handover", "image", "--json"))["spec"]["handover"]
        == "image"
    )


def test_log_shows_every_turn_and_the_head(session: Invoke) -> None:
    value = parsed(session("log", "--json"))
    assert [turn["number"] for turn in value["turns"]] == [0, 1, 2]
    assert value["head"] == value["turns"][2]["id"]
    assert value["branches"] == {"main": value["head"]}
    assert "a cat with a hat" in session("log").stdout


def test_show_tells_what_decided_a_turn(session: Invoke) -> None:
    text = session("show", "1").stdout
    for part in (
        "a cat with a hat",
        "40 x 32",
        "toy, preset default, seed 1",
        "4 evaluations",
        "against the original",
    ):
        assert part in text
    assert parsed(session("show", "original", "--json"))["kind"] == "original"


def test_undo_redo_branch_checkout_move_the_head(session: Invoke) -> None:
    moves = (("undo",), ("undo",), ("redo",), ("branch", "other"), ("checkout", "main"), ("checkout", "original"))
    assert [parsed(session(*move, "--json"))["number"] for move in moves] == [1, 0, 1, 1, 2, 0]
    assert "now at turn 1" in session("redo").stdout


def test_compare_two_turns(session: Invoke, folder: Path) -> None:
    same = parsed(session("compare", "1", "1", "--json"))
    assert (same["psnr"], same["changed"], same["largest"]) == (None, 0.0, 0)
    different = parsed(session("compare", "-o", "heat.png", "--json"))
    assert different["changed"] > 0
    with Image.open(folder / "heat.png") as heat:
        assert heat.size == (40, 32)


@pytest.mark.parametrize("name", ["a.png", "a.zip", "a.sh", "a.py"])
def test_export_writes_what_the_name_says(session: Invoke, folder: Path, name: str) -> None:
    value = parsed(session("export", "-o", name, "--json"))
    data = (folder / name).read_bytes()
    assert value["output"] == name
    if name == "a.png":
        assert len(read_metadata(folder / name)["turns"]) == 3
    elif name == "a.zip":
        zipfile.ZipFile(folder / name).extractall(folder / "unpacked")
        assert len(Session.open(folder / "unpacked" / "undrift-session").turns()) == 3
    else:
        assert b"a dog with a hat" in data


def test_export_of_a_contact_sheet(session: Invoke, folder: Path) -> None:
    assert session("export", "-o", "sheet.png", "--format", "sheet").exit_code == 0
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width > 3 * 256


def test_exported_commands_make_the_same_picture(session: Invoke, folder: Path) -> None:
    import shlex

    session("export", "-o", "again.sh")
    (line,) = (folder / "again.sh").read_text().splitlines()
    again = parsed(session(*shlex.split(line)[1:], "--json"))
    assert again["turns"][-1]["image_hash"] == parsed(session("show", "--json"))["image_hash"]


def test_replay_gives_the_same_bytes(session: Invoke) -> None:
    again = parsed(session("replay", "--json"))
    before = parsed(session("log", "--json"))
    assert [t["image_hash"] for t in again["turns"]] == [t["image_hash"] for t in before["turns"]]


def test_replay_with_another_seed_and_steps(session: Invoke) -> None:
    again = parsed(session("replay", "1", "--seed", "2", "--steps", "3", "--json"))
    (turn,) = again["turns"][1:]
    assert (turn["spec"]["seed"], turn["spec"]["params"]["steps"]) == (2, 3)


def test_info_reads_a_picture_back(session: Invoke) -> None:
    session("export", "-o", "a.png")
    text = session("info", "a.png").stdout
    assert "2  a dog with a hat" in text
    assert "seed 1" in text
    assert parsed(session("info", "a.png", "--json"))["prompt"] == "a dog with a hat"


def test_methods_lists_presets_and_parameters(invoke: Invoke) -> None:
    value = {m["name"]: m for m in parsed(invoke("methods", "--json"))["methods"]}
    assert value["multi_turn"]["presets"]["paper-8"]["evaluations"] == 18
    assert "strength" in value["toy"]["parameters"]
    assert "strength" not in invoke("methods").stdout
    assert "strength" in invoke("methods", "--long").stdout


def test_models_of_a_folder_are_listed_with_what_they_are(
    invoke: Invoke, tiny_flux_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undrift.backbones.local_models.cached_models", dict)
    models = tmp_path / "models"
    tiny = Path(shutil.copytree(tiny_flux_folder, models / "tiny"))
    (tiny / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    editor = Path(shutil.copytree(tiny_flux_folder, models / "editor"))
    index = editor / "model_index.json"
    index.write_text(index.read_text().replace("FluxPipeline", "FluxKontextPipeline"))
    broken = Path(shutil.copytree(tiny_flux_folder, models / "broken"))
    next((broken / "vae").glob("*.safetensors")).unlink()
    (models / "notes").mkdir()
    here = {Path(m["name"]).name: m for m in parsed(invoke("models", "--models", str(models), "--json"))["here"]}
    assert sorted(here) == ["broken", "editor", "tiny"]
    assert (here["tiny"]["use"], here["tiny"]["licence"], here["tiny"]["fits"]) == ("model", "apache-2.0", True)
    numbers = sum(len(tensor) for tensor in (file.read_bytes() for file in tiny.glob("*/*.safetensors"))) // 4
    assert 0 < here["tiny"]["size"] <= 2 * numbers
    assert (here["editor"]["use"], here["editor"]["pipeline"]) == ("editor", "FluxKontextPipeline")
    assert "vae holds no weights" in here["broken"]["problem"]
    text = invoke("models", "--models", str(models)).stdout
    assert re.search(r"FluxPipeline \(--model\): \d+ KB in 16 bits, fits as it is, licence apache-2.0", text)
    assert "FluxKontextPipeline (--editor): " in text


def test_models_names_the_embedded_one_and_the_licence(invoke: Invoke) -> None:
    value = {m["model"]: m for m in parsed(invoke("models", "--json"))["models"]}
    assert value["littleworld"]["here"] is True
    assert "non-commercial" in value["black-forest-labs/FLUX.1-dev"]["about"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(invoke: Invoke, shell: str) -> None:
    result = invoke("completion", shell)
    assert result.exit_code == 0
    assert "_UNDRIFT_COMPLETE" in result.stdout


def test_demo_edits_five_turns_and_lays_them_out(invoke: Invoke, folder: Path) -> None:
    value = parsed(invoke("demo", "--method", "toy", "--steps", "2", "--json"))
    assert value["session"] == "undrift-demo"
    assert len(value["turns"]) == 5
    with Image.open(folder / value["contact_sheet"]) as sheet:
        assert sheet.width > 6 * 256


def test_a_session_goes_on_with_its_model(session: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    from undrift.cli import execution

    asked = []

    def load(name: str, **options: str) -> ToyBackbone:
        asked.append(name)
        return ToyBackbone()

    monkeypatch.setattr(execution, "load", load)
    session("edit", "--caption", "a bird", *TOY)
    session("edit", "--caption", "a bird", *TOY, "--model", "another")
    assert asked == ["toy", "another"]
