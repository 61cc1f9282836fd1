"""LoRA adapters: whose they are, that each is another model, and which are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FluxPipeline
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor

from tests.support.adapters import lora_file
from tests.support.layouts.loads import velocity
from tests.support.tiny_pipelines import saved
from undrift.backbones import from_pipeline, load
from undrift.backbones.adapters import parse_lora
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


RANK, ALPHA = 2, 8
"""So that the adapter was trained at four times its own strength."""


def settings(layer: str) -> LoraConfig:
    return LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=[layer], init_lora_weights=False)


@pytest.fixture
def trained(tiny_flux_folder: Path) -> FluxPipeline:
    """A pipeline with an adapter that peft made, whose strength is beside its tensors and not in them."""
    pipe = FluxPipeline.from_pretrained(tiny_flux_folder)
    torch.manual_seed(0)
    pipe.transformer.add_adapter(settings("transformer_blocks.0.attn.to_q"))
    return pipe


def state_of(pipe: Any, before: str) -> dict[str, Tensor]:
    return {f"{before}{name}": each.clone() for name, each in get_peft_model_state_dict(pipe.transformer).items()}


def saved_by_pipeline(pipe: Any, folder: Path) -> str:
    told = _collate_lora_metadata({"transformer": pipe.transformer})
    pipe.save_lora_weights(folder, state_of(pipe, ""), **told)
    return str(folder)


def saved_by_network(pipe: Any, folder: Path) -> str:
    pipe.transformer.save_lora_adapter(folder)
    return str(folder)


def saved_by_peft(pipe: Any, folder: Path) -> str:
    pipe.transformer.peft_config["default"].save_pretrained(folder)
    save_file(state_of(pipe, "base_model.model."), folder / "adapter_model.safetensors")
    return str(folder)


def with_alphas(pipe: Any, folder: Path) -> str:
    """As some trainers write it: diffusers' keys, and the strength of each layer as a tensor."""
    state, layer = state_of(pipe, "transformer."), "transformer.transformer_blocks.0.attn.to_q"
    folder.mkdir()
    save_file({**state, f"{layer}.alpha": torch.tensor(float(ALPHA))}, folder / "style.safetensors")
    return str(folder)


def for_comfy(pipe: Any, folder: Path) -> str:
    folder.mkdir()
    save_file(state_of(pipe, "diffusion_model."), folder / "style.safetensors")
    return f"{folder}/style.safetensors:{ALPHA / RANK:g}"


@pytest.mark.parametrize("save", [saved_by_pipeline, saved_by_network, saved_by_peft, with_alphas, for_comfy])
def test_an_adapter_is_as_strong_as_it_was_in_training(
    save: Callable[[Any, Path], str], trained: Any, tiny_flux_folder: Path, tmp_path: Path
) -> None:
    given = save(trained, tmp_path / "style")
    backbone = load(str(tiny_flux_folder), device="cpu", loras=[given])
    # Where the strength lies in the tensors, it is multiplied in another order.
    torch.testing.assert_close(velocity(backbone), velocity(from_pipeline(trained, name="own")), atol=1e-6, rtol=0)
    recorded = backbone.identity.loras[0].partition("@")[0]
    assert recorded.endswith(":4" if save in (saved_by_peft, for_comfy) else ":1")


def test_pefts_own_scale_is_the_usual_one_alone(trained: Any, tmp_path: Path) -> None:
    folder = saved_by_peft(trained, tmp_path / "style")
    assert [parse_lora(text).scale for text in (folder, f"{folder}:0.5")] == [4, 0.5]
    config = Path(folder) / "adapter_config.json"
    told = json.loads(config.read_text())
    config.write_text(json.dumps({**told, "use_rslora": True}))
    assert parse_lora(folder).scale == pytest.approx(ALPHA / RANK**0.5)
    config.write_text(json.dumps({**told, "r": 0}))
    with pytest.raises(ModelError, match=r"does not say how strong adapter_model.safetensors is .*: give FILE:SCALE"):
        parse_lora(folder)
    assert parse_lora(f"{folder}:2").scale == 2


LAYER = "transformer.transformer_blocks.0.attn.to_q"


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ({"x.hada_w1_a": (2, 2)}, r"wrong.safetensors is a LoHa or LoKr of LyCORIS, .*: expected a LoRA"),
        ({f"{LAYER}.lora_A.weight": (2, 32)}, r"wrong.safetensors lacks .*to_q.lora_B.weight, .*: download it again"),
        (
            {f"{LAYER}.lora_A.weight": (2, 48), f"{LAYER}.lora_B.weight": (48, 2)},
            r"is for another model: its layer '.*blocks.0.attn.to_q' takes 48 numbers, that of .* 32",
        ),
        (
            {"transformer.x_embedder.lora_A.weight": (2, 128), "transformer.x_embedder.lora_B.weight": (32, 2)},
            r"wrong.safetensors takes 128 input channels: it is for FLUX.1 Control .*, and edits nothing here",
        ),
        (
            {"transformer.blocks.9.lora_A.weight": (2, 32), "transformer.blocks.9.lora_B.weight": (32, 2)},
            r"wrong.safetensors changes no layer of .*: it is for another model",
        ),
        (
            {"lora_unet_down_blocks_0.lora_down.weight": (2, 32), "lora_unet_down_blocks_0.lora_up.weight": (32, 2)},
            r"wrong.safetensors cannot be loaded: Incompatible keys detected: .*lora_unet_down_blocks_0.lora_down",
        ),
    ],
)
def test_an_adapter_that_cannot_be_added_is_named(
    state: dict[str, tuple[int, ...]],
    line: str,
    tiny_flux_folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not the model's folder, which is whole; and what the libraries say themselves is not on the terminal."""
    file = tmp_path / "wrong.safetensors"
    save_file({name: torch.ones(shape) for name, shape in state.items()}, file)
    with pytest.raises(ModelError, match=line) as caught:
        load(str(tiny_flux_folder), device="cpu", loras=[str(file)])
    assert "\n" not in str(caught.value)
    assert not caplog.records


def test_layers_that_a_model_has_not_are_told(
    tiny_flux_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    both = {f"transformer.transformer_blocks.{block}.attn.to_q": torch.ones(2, 32) for block in (0, 9)}
    state = {f"{name}.lora_A.weight": down for name, down in both.items()}
    state |= {f"{name}.lora_B.weight": down.mT.contiguous() for name, down in both.items()}
    save_file({name: each.clone() for name, each in state.items()}, tmp_path / "deep.safetensors")
    load(str(tiny_flux_folder), device="cpu", loras=[str(tmp_path / "deep.safetensors")])
    assert "1 of its 2 layers are not in" in caplog.text
    assert "'transformer_blocks.9.attn.to_q' first: it may be for another model" in caplog.text
