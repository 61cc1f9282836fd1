"""Folders that are half there, as a download that was stopped or a folder copied by hand leaves them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from diffusers import AutoencoderKL, FluxTransformer2DModel

from undrift.backbones import load
from undrift.backbones.examination import examined
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.local_models import local_models
from undrift.backbones.locate import NotNamedError, locate
from undrift.backbones.named import remember
from undrift.errors import ModelError

WEIGHTS = "diffusion_pytorch_model.safetensors"


def without(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def emptied(folder: Path) -> None:
    for file in (folder / "tokenizer_2").iterdir():
        file.unlink()


def incomplete(folder: Path) -> None:
    file = folder / "transformer" / WEIGHTS
    file.rename(f"{file}.incomplete")


def dangling(folder: Path) -> None:
    """What the hub's cache holds after its blobs were cleaned away."""
    file = folder / "transformer" / WEIGHTS
    file.unlink()
    file.symlink_to(folder / "blobs" / "gone")


def pointer(folder: Path) -> None:
    (folder / "transformer" / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\nsize 12345\n")


def shards_without_index(folder: Path) -> None:
    part = folder / "transformer"
    network = FluxTransformer2DModel.from_pretrained(part)
    shutil.rmtree(part)
    network.save_pretrained(part, max_shard_size="40KB")
    (part / f"{WEIGHTS}.index.json").unlink()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (without("tokenizer/tokenizer_config.json"), r"tokenizer has no tokenizer_config.json: download .* again$"),
        (without("tokenizer_2/tokenizer.json"), r"tokenizer_2 has no tokenizer.json: download .* again$"),
        (emptied, r"tokenizer_2 has no tokenizer.json: download .* again$"),
        (incomplete, r"transformer holds no weights \(\*.safetensors\): download .* again$"),
        (dangling, r"safetensors is damaged \(no safetensors header\): download it again$"),
        (pointer, r"safetensors is damaged \(no safetensors header\): download it again$"),
        (shards_without_index, r"transformer holds shards and no index of them .*: download .* again$"),
    ],
)
def test_it_is_told_before_any_weight_is_read(
    change: Callable[[Path], None],
    line: str,
    tiny_flux_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without a file of its tokenizer the libraries read a prompt otherwise, and say nothing."""
    folder = Path(shutil.copytree(tiny_flux_folder, tmp_path / "half"))
    change(folder)
    monkeypatch.setattr(FluxBackbone, "from_folder", None)
    with pytest.raises(ModelError, match=line):
        load(str(folder), device="cpu")
    assert not caplog.records


def test_weights_that_a_configuration_has_no_place_for_are_told(
    tiny_flux_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(tiny_flux_folder, tmp_path / "short"))
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_layers": 1}))
    load(str(folder), device="cpu")
    assert "tensors that its config.json has no place for, 'transformer_blocks.1." in caplog.text


def test_a_configuration_of_other_sizes_is_told_without_advice_to_programmers(
    tiny_flux_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_flux_folder, tmp_path / "narrow"))
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_attention_heads": 1}))
    with pytest.raises(ModelError, match=r"transformer cannot be loaded: .* but got torch.Size\(\[32\]\)$"):
        load(str(folder), device="cpu")


def test_what_is_on_this_machine_has_no_revisions(tiny_flux_folder: Path) -> None:
    for name in ("littleworld", str(tiny_flux_folder)):
        with pytest.raises(ModelError, match="is on this machine and has no revisions: leave out --revision main"):
            load(name, device="cpu", revision="main")


@pytest.mark.parametrize("behind", ["", "/", "/tree/main", "?library=diffusers"])
def test_the_address_of_a_models_page_names_the_model(behind: str) -> None:
    address = f"https://huggingface.co/black-forest-labs/FLUX.1-dev{behind}"
    with pytest.raises(
        ModelError, match=r"is an address, expected a hub id: give --model black-forest-labs/FLUX.1-dev$"
    ):
        load(address)


def test_an_index_without_a_vae_is_told_at_once(tiny_flux_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_flux_folder, tmp_path / "part"))
    index = folder / "model_index.json"
    index.write_text(
        json.dumps({name: part for name, part in json.loads(index.read_text()).items() if name != "vae"})
    )
    assert "lacks the part 'vae'" in examined(str(folder), "cpu", (64, 64)).problem


def test_the_vae_of_another_model_is_told_before_it_is_used(tiny_flux_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_flux_folder, tmp_path / "mixed"))
    shutil.rmtree(folder / "vae")
    AutoencoderKL(latent_channels=8, block_out_channels=(8,), norm_num_groups=4).save_pretrained(folder / "vae")
    line = r"the vae of .* makes 8 latent channels and its transformer takes 16: one of them is another model's"
    with pytest.raises(ModelError, match=line):
        load(str(folder), device="cpu")


def test_a_file_of_something_else_is_told_from_a_transformer(tiny_flux_folder: Path, tmp_path: Path) -> None:
    """``doctor`` reckoned with it, to less than nothing."""
    other = tiny_flux_folder / "vae" / WEIGHTS
    found = examined(str(tiny_flux_folder), "cpu", (64, 64), other)
    assert found.problem.endswith("it is something else")
    assert not found.parts


def test_a_folder_that_is_gone_is_told_from_one_that_was_never_named(tiny_flux_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_flux_folder, tmp_path / "here"))
    remember(str(folder))
    assert locate(str(folder), named=False).path == folder
    folder.rename(tmp_path / "there")
    with pytest.raises(ModelError, match=r"which is no longer there: give --model with its path$") as caught:
        locate(str(folder), named=False)
    assert not isinstance(caught.value, NotNamedError)


def test_a_folder_of_models_may_be_a_model_itself(tiny_flux_folder: Path) -> None:
    assert str(tiny_flux_folder) in [one.name for one in local_models(tiny_flux_folder)]
