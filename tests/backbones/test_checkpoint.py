"""A checkpoint of Stable Diffusion 1 in one file as the model: what it lacks, and where that comes from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.backbones.test_sd1_layouts import same
from tests.support import tiny_sdxl
from tests.support.hub import Hub, served
from tests.support.sd_checkpoint import save_checkpoint, save_xl_checkpoint
from tests.support.tiny_sd import pipeline, save_tiny_sd
from undrift.backbones import load
from undrift.backbones.checkpoint import PIPELINES
from undrift.backbones.examination import examined
from undrift.backbones.locate import NotNamedError, locate
from undrift.backbones.sdxl import StableDiffusionXLBackbone
from undrift.cli.keeper import Keeper
from undrift.cli.main import cli
from undrift.errors import ModelError

PIPELINE = PIPELINES["StableDiffusionPipeline"]
UNET = "model.diffusion_model."
TEXT_LAYER = f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sd(tmp_path_factory.mktemp("plain") / "sd")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "held").mkdir()
    return save_checkpoint(tmp_path / "held" / "v1-5.safetensors", pipeline())


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    repository = Path(shutil.copytree(folder, tmp_path / "repository"))
    (repository / "v1-5-pruned.safetensors").write_bytes(b"7 GB")
    with served(Hub(repository, PIPELINE), tmp_path / "cache", monkeypatch) as made:
        yield made


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that nobody answers for, and nothing in its cache."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "empty"))


def test_a_checkpoint_is_a_model_without_a_hub_where_its_pipeline_lies_around_it(
    folder: Path, file: Path, tmp_path: Path, offline: None
) -> None:
    """As the published repository has it, `v1-5-pruned.safetensors` beside `model_index.json`, weights or not."""
    around = Path(shutil.copytree(folder, tmp_path / "published", ignore=shutil.ignore_patterns("*.safetensors")))
    inside = shutil.copy(file, around)
    backbone = load(str(inside), device="cpu")
    same(backbone, load(str(folder), device="cpu"))
    assert backbone.identity.name == str(inside)
    assert backbone.identity.vae_hash == backbone.identity.weights_hash != load(str(folder)).identity.weights_hash
    found = examined(str(inside), "cpu", (64, 64))
    assert found.problem == ""
    assert "StableDiffusionPipeline" in found.about


def test_what_a_checkpoint_lacks_is_fetched_once_and_no_weights_with_it(folder: Path, file: Path, hub: Hub) -> None:
    said: list[str] = []
    backbone = load(str(file), device="cpu", tell=said.append)
    same(backbone, load(str(folder), device="cpu"))
    assert said == [f"downloading the tokenizer and the configurations of {PIPELINE}"]
    assert {"tokenizer/tokenizer.json", "unet/config.json", "scheduler/scheduler_config.json"} <= set(hub.fetched)
    assert not [name for name in hub.fetched if name.endswith(".safetensors")]
    hub.fetched.clear()
    hub.revisions.clear()
    load(str(file), device="cpu", tell=said.append)
    assert (hub.fetched, hub.revisions, len(said)) == ([], [], 1), "the hub is asked for nothing more"


def test_an_index_alone_in_the_cache_is_not_enough(file: Path, hub: Hub) -> None:
    """What is left of a pipeline that was judged by its index and not taken."""
    huggingface_hub.snapshot_download(PIPELINE, allow_patterns=["model_index.json"])
    load(str(file), device="cpu")
    assert "tokenizer/tokenizer.json" in hub.fetched


def test_a_look_at_a_checkpoint_and_a_session_of_somebody_else_s_fetch_nothing(file: Path, hub: Hub) -> None:
    found = examined(str(file), "cpu", (64, 64))
    assert found.problem == (
        f"{file} lacks a tokenizer, and {PIPELINE}, which has it, is not on this machine: the first command that"
        " names it downloads it"
    )
    with pytest.raises(NotNamedError, match=r"v1-5\.safetensors"):
        locate(str(file), named=False)
    assert hub.fetched == []


def test_without_a_hub_it_is_said_what_is_missing(file: Path, offline: None) -> None:
    with pytest.raises(ModelError) as caught:
        load(str(file), device="cpu")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(
        f"{file} holds weights alone, and the tokenizer and the configurations that go with them are not here:"
        f" {PIPELINE} is not on this machine and cannot be downloaded"
    )
    assert message.endswith("or give a local folder, with --model, and this file with --transformer")


def changed(file: Path, **tensors: torch.Tensor) -> Path:
    state = {**load_file(file), **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}
    save_file(state, file)
    return file


@pytest.mark.slow
def test_xl_is_a_model_by_itself_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_sdxl.save_tiny_sdxl(tmp_path / "xl")
    (tmp_path / "held").mkdir()
    file = save_xl_checkpoint(tmp_path / "held" / "sd_xl_base.safetensors", tiny_sdxl.pipeline())
    plain = load(str(folder), device="cpu")
    for weights in folder.glob("*/*.safetensors"):
        weights.unlink()
    repository = Hub(folder, PIPELINES["StableDiffusionXLPipeline"])
    with served(repository, tmp_path / "cache", monkeypatch):
        backbone = load(str(file), device="cpu")
    assert isinstance(backbone, StableDiffusionXLBackbone)
    grid = plain.geometry((64, 64))
    noise = torch.randn(1, grid.tokens, 64, generator=torch.Generator().manual_seed(0))
    made = [model.velocity_field(model.embed(["a red cat"]), grid, 3.0)(noise, 0.5) for model in (plain, backbone)]
    assert torch.equal(*made)
    picture = Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 50).convert("RGB")
    assert torch.equal(plain.encode([picture]).packed, backbone.encode([picture]).packed)
    with pytest.raises(ModelError, match=r"is a checkpoint of Stable Diffusion 1 or 2, expected one of Stable Diff"):
        load(str(folder), device="cpu", transformer=save_checkpoint(tmp_path / "old.safetensors", pipeline()))


def test_other_checkpoints_are_refused_before_anything_is_fetched(file: Path, hub: Hub) -> None:
    changed(file, **{TEXT_LAYER.replace(".", "__"): torch.zeros(16, 1024)})
    with pytest.raises(ModelError, match=r"of Stable Diffusion 2, which does not say whether it predicts the noise"):
        load(str(file), device="cpu")
    changed(file, control_model__weight=torch.zeros(1))
    with pytest.raises(ModelError, match=r"is a checkpoint of a ControlNet, expected one of Stable Diffusion 1 or 2"):
        load(str(file), device="cpu")
    assert hub.fetched == []


def test_a_unet_alone_and_pickles_are_no_models(file: Path, tmp_path: Path) -> None:
    alone = save_checkpoint(tmp_path / "unet.safetensors", pipeline(), ("unet",))
    with pytest.raises(ModelError, match=r"unet.safetensors is a file of weights, no folder: give its pipeline"):
        load(str(alone), device="cpu")
    pickle = tmp_path / "v1-5.ckpt"
    pickle.write_bytes(b"PK")
    with pytest.raises(ModelError, match=r"v1-5.ckpt is a pickle, which can run code when read: convert it to saf"):
        load(str(pickle), device="cpu")


def test_a_checkpoint_takes_no_other_file_of_weights(file: Path, hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"is a checkpoint with a UNet of its own: leave out --transformer"):
        load(str(file), device="cpu", transformer=file)


@pytest.mark.slow
def test_a_warm_model_is_loaded_again_where_its_checkpoint_is_another(file: Path, hub: Hub) -> None:
    keeper = Keeper()
    first = keeper.kept(load, str(file), device="cpu", tell=print)
    assert keeper.kept(load, str(file), device="cpu", tell=print) is first
    changed(file, **{TEXT_LAYER.replace(".", "__"): load_file(file)[TEXT_LAYER] + 1})
    assert keeper.kept(load, str(file), device="cpu", tell=print) is not first


@pytest.mark.slow
def test_a_session_is_begun_left_and_gone_on_with(file: Path, hub: Hub, tmp_path: Path) -> None:
    """By the command line: the second command names no model, and is asked for none."""
    picture, session = tmp_path / "p.png", tmp_path / "s"
    Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 50).convert("RGB").save(picture)
    begun = ["new", str(picture), "-p", "a red cat", "-s", str(session), "--model", str(file)]
    edited = ["edit", "a blue cat", "-s", str(session), "--method", "p2p", "--set", "steps=2", "--seed", "1"]
    for command in (begun, edited):
        result = CliRunner().invoke(cli, command)
        assert result.exit_code == 0, result.output
    assert len(list((session / "pictures").glob("*.png"))) == 2
