"""The hub, played by a server on this machine: what is asked of it, and what is never fetched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.hub import COMMIT, Hub, served
from tests.support.tiny_flux import save_tiny_flux
from undrift.backbones import load
from undrift.backbones.editors import name_editor
from undrift.backbones.folder import read_folder
from undrift.backbones.hub import cached_models, download
from undrift.errors import Cancelled, ModelError

NAME = "someone/some-flux"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with everything beside it that a repository may hold."""
    folder = save_tiny_flux(tmp_path_factory.mktemp("hub") / "repository")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model")
    (folder / "flux1-dev.safetensors").write_bytes(b"a checkpoint in one file")
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    shutil.copy(weights, weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    (folder / "text_encoder" / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "text_encoder" / "model.onnx").write_bytes(b"another format")
    (folder / "transformer" / "model.py").write_text("raise SystemExit")
    (folder / "examples").mkdir()
    (folder / "examples" / "picture.safetensors").write_bytes(b"no part")
    return folder


@pytest.fixture
def hub(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    made = Hub(Path(shutil.copytree(published, tmp_path / "repository")), NAME)
    with served(made, tmp_path / "cache", monkeypatch):
        yield made


def test_only_what_is_used_is_fetched_and_said_before(hub: Hub) -> None:
    said: list[str] = []
    backbone = load(NAME, device="cpu", tell=said.append)
    fetched = set(hub.fetched)
    parts = read_folder(hub.folder, "x").parts()
    assert fetched >= {"model_index.json", "transformer/config.json", "scheduler/scheduler_config.json"}
    assert {file for file in fetched if file.endswith(".safetensors")} == {
        f"{part}/{file.name}"
        for part in parts
        for file in (hub.folder / part).glob("*.safetensors")
        if "fp16" not in file.name
    }
    assert not [file for file in fetched if file.endswith((".bin", ".py", ".onnx", ".md"))]
    assert said[0].startswith(f"downloading {NAME}: 0.0 GB in ")
    assert backbone.identity.weights_hash == load(str(hub.folder), device="cpu").identity.weights_hash
    assert backbone.identity.revision == COMMIT
    assert list(cached_models()) == [NAME]
    hub.fetched.clear()
    load(NAME, device="cpu", tell=said.append)
    assert hub.fetched == []
    assert len(said) == 1, "nothing is downloaded twice, nor said to be"


def test_a_download_says_how_far_it_is_and_goes_on_where_it_was_stopped(hub: Hub) -> None:
    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        download(NAME, lambda folder: None, stop)
    before = list(hub.fetched)
    hub.fetched.clear()
    heard: list[tuple[int, int]] = []
    folder = download(NAME, lambda folder: None, lambda done, total: heard.append((done, total)))
    # Only the file in whose middle it was stopped comes again.
    assert set(before) & set(hub.fetched) <= {before[-1]}
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    missing = [name for name in hub.fetched if name not in before[:-1]]
    assert {total for _, total in heard} == {sum((hub.folder / name).stat().st_size for name in missing)}
    assert heard[-1][0] == heard[-1][1]
    hub.fetched.clear()
    assert load(NAME, device="cpu").identity.revision == COMMIT
    assert hub.fetched == []
    assert folder.name == NAME


def test_a_download_that_has_no_room_is_refused_before_it_begins(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5000))
    with pytest.raises(ModelError, match=r"needs 0\.\d GB of disk and 0\.0 GB are free there: make room"):
        download(NAME, lambda folder: None, lambda done, total: None)
    assert [name for name in hub.fetched if name.endswith(".safetensors")] == []


def test_a_variant_is_fetched_where_there_is_nothing_else(hub: Hub) -> None:
    (hub.folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    load(NAME, device="cpu")
    assert "transformer/diffusion_pytorch_model.fp16.safetensors" in hub.fetched


def test_a_model_is_judged_by_its_index_alone(hub: Hub) -> None:
    index = hub.folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "_class_name": "FluxFillPipeline"}))
    with pytest.raises(ModelError, match=f"{NAME} is a model that fills masks: use FLUX.1-dev"):
        load(NAME, device="cpu")
    assert hub.fetched == ["model_index.json"]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("modular_model_index.json", r"is a modular pipeline \(modular_model_index.json\)"),
        ("adapter_config.json", "is a LoRA: download it, give the model that it is for with --model"),
        ("flux1-dev.safetensors", "has no model_index.json: expected a diffusers pipeline"),
    ],
)
def test_what_is_no_pipeline_is_said_before_anything_large_is_fetched(hub: Hub, file: str, message: str) -> None:
    (hub.folder / "model_index.json").unlink()
    (hub.folder / file).write_text("{}")
    with pytest.raises(ModelError, match=message):
        load(NAME, device="cpu")
    assert [name for name in hub.fetched if not name.endswith(".json")] == []


def test_a_revision_is_asked_for(hub: Hub) -> None:
    load(NAME, device="cpu", revision="v1.1")
    assert hub.revisions[0] == "v1.1"
    assert set(hub.revisions[1:]) <= {COMMIT}


def test_an_editor_is_fetched_by_the_same_rules(hub: Hub) -> None:
    index = hub.folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "_class_name": "FluxKontextPipeline"}))
    folder = name_editor(NAME)
    assert folder.pipeline_class == "FluxKontextPipeline"
    assert not [file for file in hub.fetched if file.endswith((".bin", ".py"))]
    with pytest.raises(ModelError, match=rf"{NAME} is an editor by instructions .*: use it with --editor {NAME}"):
        load(NAME, device="cpu")
