"""LoRA adapters: whose they are, that each is another model, and which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.support.adapters import lora_file
from tests.support.layouts.loads import velocity
from tests.support.tiny_pipelines import saved
from undrift.backbones import load
from undrift.errors import InputError, ModelError


def test_adapters_and_their_scales_make_other_weights(tiny_flux_folder: Path, tmp_path: Path) -> None:
    one, two = (lora_file(tmp_path / f"{seed}.safetensors", seed=seed) for seed in (1, 2))
    added = [(), (f"{one}",), (f"{one}:0.5",), (f"{one}", f"{two}:2"), (f"{two}:2", f"{one}")]
    models = [load(str(tiny_flux_folder), device="cpu", loras=files).identity for files in added]
    assert len({identity.weights_hash for identity in models}) == len(added)
    assert len({identity.vae_hash for identity in models}) == 1
    (label,) = models[2].loras
    assert label.startswith("1.safetensors:0.5@")


@pytest.mark.parametrize("family", ["sd3", "flux2", "qwen_image"])
def test_every_family_takes_adapters(family: str, tmp_path: Path) -> None:
    folder, file = saved(family, tmp_path / "made"), lora_file(tmp_path / "style.safetensors")
    plain, adapted = (velocity(load(str(folder), device="cpu", loras=loras)) for loras in ([], [str(file)]))
    assert float((adapted - plain).abs().max()) > 1e-3


def test_wrong_adapters_are_refused(tiny_flux_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, wrong = str(tiny_flux_folder), tmp_path / "wrong.safetensors"
    with pytest.raises(ModelError, match=r"no adapter absent\.safetensors: expected a safetensors file"):
        load(folder, device="cpu", loras=["absent.safetensors"])
    with pytest.raises(InputError, match=r"--lora .*: expected FILE or FILE:SCALE, such as style.safetensors:0.8"):
        load(folder, device="cpu", loras=["style.safetensors:strong"])
    save_file({"weight": torch.zeros(1)}, wrong)
    with pytest.raises(ModelError, match="is no LoRA: none of its 1 tensors is called so"):
        load(folder, device="cpu", loras=[str(wrong)])
    save_file({"unet.mid_block.lora_A.weight": torch.zeros(2, 2)}, wrong)
    with pytest.raises(ModelError, match="holds nothing for a transformer of a FluxPipeline: it is for"):
        load(folder, device="cpu", loras=[str(wrong)])
    with pytest.raises(ModelError, match="is a LoRA: give it with --lora"):
        load(folder, device="cpu", transformer=lora_file(wrong))
    load(folder, device="cpu", loras=[str(lora_file(wrong, text=True))])
    assert "its text encoder's part is left out" in caplog.text
