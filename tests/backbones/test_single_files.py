"""A transformer's weights in one file: which weights they are, and which files are refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.support.layouts.loads import gguf, one_file
from tests.support.weight_files import transformer_weights
from undrift.backbones import load
from undrift.backbones.folder import read_folder
from undrift.errors import ModelError


def test_a_file_s_weights_are_others_than_the_folder_s(tiny_flux_folder: Path, tmp_path: Path) -> None:
    file = load(**one_file()(tiny_flux_folder, tmp_path / "file"), device="cpu").identity
    packed = load(**gguf(tiny_flux_folder, tmp_path / "packed"), device="cpu").identity
    hashes = {file.weights_hash, packed.weights_hash, read_folder(tiny_flux_folder, "x").weights_hash}
    assert len(hashes) == 3
    assert (file.quantize, packed.quantize) == ("none", "gguf")
    assert [option.partition("@")[0] for option in (*file.options, *packed.options)] == [
        "transformer=file.safetensors",
        "transformer=tiny-Q8_0.gguf",
    ]


def test_wrong_single_files_are_refused(tiny_flux_folder: Path, tmp_path: Path) -> None:
    folder, file = str(tiny_flux_folder), tmp_path / "fill.safetensors"
    save_file({"img_in.weight": torch.zeros(8, 384)}, file)
    with pytest.raises(ModelError, match=r"fill.safetensors has 384 input channels: it is FLUX.1 Fill"):
        load(folder, device="cpu", transformer=file)
    with pytest.raises(ModelError, match=r"fill.safetensors is a file of weights, no folder: give its pipeline"):
        load(str(file), device="cpu")
    with pytest.raises(ModelError, match=r"no file absent.gguf: expected a transformer's weights"):
        load(folder, device="cpu", transformer="absent.gguf")
    (tmp_path / "x.gguf").write_bytes(b"GGML")
    with pytest.raises(ModelError, match=r"x.gguf is damaged \(no GGUF header\): download it again"):
        load(folder, device="cpu", transformer=tmp_path / "x.gguf")
    (tmp_path / "x.ckpt").write_bytes(b"PK")
    with pytest.raises(ModelError, match=r"is neither safetensors nor GGUF: convert it"):
        load(folder, device="cpu", transformer=tmp_path / "x.ckpt")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("double_blocks.0.img_attn.qkv.scale_weight", "holds numbers of eight bits with scales of their own, which"),
        ("scaled_fp8", "holds numbers of eight bits with scales of their own, which are not read here: give a GGUF"),
        ("double_blocks.0.img_attn.qkv.weight.absmax", "holds weights of four bits by bitsandbytes, which"),
        ("transformer_blocks.0.attn.to_q.qweight", "holds weights of four bits by Nunchaku, which"),
        ("more.weight", "has not the tensors of a FluxTransformer2DModel, by its authors' names or diffusers'"),
    ],
)
def test_a_file_with_scales_of_its_own_or_more_tensors_is_refused(
    name: str, line: str, tiny_flux_folder: Path, tmp_path: Path
) -> None:
    """What ComfyUI's files hold: without their scales the weights would be others, and nobody would be told."""
    file = tmp_path / "x.safetensors"
    save_file({**transformer_weights(tiny_flux_folder), name: torch.ones(1)}, file)
    with pytest.raises(ModelError, match=line) as caught:
        load(str(tiny_flux_folder), device="cpu", transformer=file)
    assert "\n" not in str(caught.value)
