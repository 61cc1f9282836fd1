"""``undrift doctor``: one line for everything, and the exit code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke, parsed
from undrift.backbones import machine
from undrift.backbones.machine import Finding


@pytest.fixture(autouse=True)
def healthy(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """The machine as a test wants it, whatever the real one is like."""
    found = [Finding("torch", "ok", "torch 2.13.0, for the CPU")]
    monkeypatch.setattr(machine, "findings", lambda: iter(found))
    return found


def test_a_machine_without_faults_is_told_line_by_line(invoke: Invoke) -> None:
    done = invoke("doctor")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "ok     torch     torch 2.13.0, for the CPU",
        "ok     serve     undrift serve does not run: every command loads its model",
    ]


def test_a_fault_of_the_machine_is_the_exit_code(invoke: Invoke, healthy: list[Finding]) -> None:
    healthy.append(Finding("packages", "fault", "diffusers is missing: expected what undrift asks for"))
    done = invoke("doctor")
    assert done.exit_code == 2
    assert "fault  packages  diffusers is missing" in done.stdout
    assert done.stderr == "error: diffusers is missing: expected what undrift asks for\n"


def test_a_model_is_told_with_its_parts_ways_and_flags(invoke: Invoke, tiny_flux_folder: Path) -> None:
    done = invoke("doctor", str(tiny_flux_folder), "--device", "cpu", "--size", "64")
    assert done.exit_code == 0, done.stderr
    text = done.stdout
    assert "FluxPipeline, licence unknown, all files are there" in text
    assert [line.split()[0] for line in text.splitlines() if line.startswith("t")] == [
        "text_encoder",
        "text_encoder_2",
        "transformer",
    ]
    assert text.rstrip().endswith(f"use: undrift edit ... --model {tiny_flux_folder}")


def test_a_transformer_in_a_file_is_reckoned_in_its_place(
    invoke: Invoke, tiny_flux_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tiny Q4.gguf"
    file.write_bytes(b"GGUF" + bytes(4_996))
    done = invoke("doctor", str(tiny_flux_folder), "--device", "cpu", "--transformer", str(file), "--json")
    assert set(parsed(done)["model"]["parts"]["transformer"].values()) == {5000}
    told = invoke("doctor", str(tiny_flux_folder), "--device", "cpu", "--transformer", str(file)).stdout
    assert told.rstrip().endswith(f"--model {tiny_flux_folder} --transformer '{file}'")
    assert invoke("doctor", "--transformer", str(file)).stderr == (
        "error: --transformer is given without MODEL: name the pipeline that it is for\n"
    )


def test_json_has_the_same(invoke: Invoke, tiny_flux_folder: Path) -> None:
    told = parsed(invoke("doctor", str(tiny_flux_folder), "--device", "cpu", "--json"))
    assert told["machine"][0] == {"topic": "torch", "state": "ok", "text": "torch 2.13.0, for the CPU"}
    assert told["model"]["best"] == ""
    assert told["model"]["parts"]["vae"]["fp32"] == 2 * told["model"]["parts"]["vae"]["bf16"]


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda folder: next((folder / "vae").glob("*.safetensors")).unlink(), "holds no weights"),
        (lambda folder: next((folder / "vae").glob("*.safetensors")).write_bytes(b"cut"), "is damaged"),
        (lambda folder: (folder / "model_index.json").write_text("{"), "cannot be read"),
        (lambda folder: shutil.rmtree(folder / "transformer"), "lacks the part 'transformer'"),
        (lambda folder: (folder / "transformer" / "config.json").unlink(), "holds weights and no config.json"),
    ],
)
def test_a_model_that_cannot_run_says_why(
    invoke: Invoke, tiny_flux_folder: Path, tmp_path: Path, damage: object, line: str
) -> None:
    folder = Path(shutil.copytree(tiny_flux_folder, tmp_path / "broken"))
    damage(folder)  # type: ignore[operator]
    done = invoke("doctor", str(folder), "--device", "cpu")
    assert done.exit_code == 2
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_device_that_is_not_here_is_refused(invoke: Invoke) -> None:
    done = invoke("doctor", "littleworld", "--device", "tpu")
    assert done.exit_code == 2
    assert done.stderr == "error: device is 'tpu', expected auto, cpu, cuda, cuda:N or mps\n"
