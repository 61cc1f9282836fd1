"""NaN and infinities in weights: told with the weight's name where they do something, in every part of a model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support import tiny_pipelines
from tests.support.adapters import lora_file
from tests.support.toy import toy_picture
from undrift.backbones import Backbone, load
from undrift.backbones.counter import Counter
from undrift.backbones.editors import Order, load_editor
from undrift.backbones.folder import read_folder
from undrift.backbones.placement import Placement
from undrift.errors import InputError, ModelError, UndriftError
from undrift.methods.registry import get
from undrift.session.engine import EditPlan, run_turn, start_session

NAN, INF = float("nan"), float("inf")


def damaged(source: Path, made: Path, part: str, weight: str, value: float = NAN, place: int = -1) -> Path:
    """A copy of a pipeline of whose weight one number is another."""
    shutil.copytree(source, made)
    (file,) = (made / part).glob("*.safetensors")
    state = load_file(file)
    (name,) = [key for key in state if key.removeprefix("text_model.") == weight]
    state[name].view(-1)[place] = value
    save_file(state, file)
    return made


def turn(backbone: Backbone, folder: Path) -> None:
    session = start_session(folder, toy_picture(40, 24), "a cat", backbone)
    run_turn(session, backbone, get("multi_turn", overrides={"steps": 2}), EditPlan("a dog", seed=1))


EMBEDDINGS = "embeddings.token_embedding.weight"
WEIGHTS = {
    "transformer": "transformer_blocks.0.attn.to_q.weight",
    "text_encoder": "final_layer_norm.weight",
    "text_encoder_2": "encoder.final_layer_norm.weight",
}


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("part", WEIGHTS)
def test_the_weight_is_named(part: str, value: float, tiny_flux_folder: Path, tmp_path: Path) -> None:
    folder = damaged(tiny_flux_folder, tmp_path / "made", part, WEIGHTS[part], value)
    what = "a velocity" if part == "transformer" else "the embedded prompt"
    with pytest.raises(ModelError) as caught:
        turn(load(str(folder), device="cpu"), tmp_path / "s")
    line = str(caught.value)
    assert line.startswith(f"{what} came out as NaN or infinite: weight '")
    assert line.endswith(
        f"{WEIGHTS[part]}' of the {part} is, so its file is damaged or was badly converted, get another"
    )
    assert "\n" not in line


@pytest.mark.parametrize("side", ["encode", "decode"])
def test_an_autoencoder_is_told_of_by_what_it_makes(side: str, tiny_flux_folder: Path, tmp_path: Path) -> None:
    folder = damaged(tiny_flux_folder, tmp_path / "made", "vae", f"{side}r.conv_in.weight")
    backbone, plain = load(str(folder), device="cpu"), load(str(tiny_flux_folder), device="cpu")
    latent = plain.encode([toy_picture(40, 24)])
    line = rf"^the {side}d picture came out .*'{side}r.conv_in.weight' of the vae is"
    with pytest.raises(ModelError, match=line):
        backbone.encode([toy_picture(40, 24)]) if side == "encode" else backbone.decode(latent)


def test_an_adapter_s_weight_is_named(tiny_flux_folder: Path, tmp_path: Path) -> None:
    file = lora_file(tmp_path / "style.safetensors")
    state = load_file(file)
    state["transformer.transformer_blocks.0.attn.to_out.0.lora_A.weight"][0, 0] = NAN
    save_file(state, file)
    with pytest.raises(ModelError, match=r"'transformer_blocks\.0\.attn\.to_out\.0\.lora_A\.lora_0\.weight' of"):
        turn(load(str(tiny_flux_folder), device="cpu", loras=[str(file)]), tmp_path / "s")


@pytest.mark.parametrize("value", [1e5, 6e4])
def test_float16_is_told_where_it_is_too_narrow(value: float, tiny_flux_folder: Path, tmp_path: Path) -> None:
    """1e5 is beyond float16 itself; 6e4 is not, and what comes of it in the last layer is."""
    folder = damaged(tiny_flux_folder, tmp_path / "made", "transformer", "proj_out.bias", value)
    if value == 6e4:
        file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
        state = load_file(file)
        save_file({**state, "proj_out.weight": torch.full_like(state["proj_out.weight"], value)}, file)
    backbone = load(str(folder), device="cpu", dtype="fp16")
    with pytest.raises(
        ModelError, match=r"a velocity .*: numbers leave the range of float16, add --dtype bf16 or fp32"
    ):
        turn(backbone, tmp_path / "s")
    turn(load(str(folder), device="cpu"), tmp_path / "wide")


def test_a_method_that_leaves_the_range_is_not_the_model_s_fault(tiny_flux: Backbone) -> None:
    latent = tiny_flux.encode([toy_picture(40, 24)])
    field = tiny_flux.velocity_field(tiny_flux.embed(["a cat"]), latent.geometry, 1.0)
    with pytest.raises(InputError, match="the method left the range of numbers: make its parameters smaller"):
        field(latent.packed * INF, 0.5)


def test_an_unused_weight_harms_nobody(tiny_flux_folder: Path, tmp_path: Path) -> None:
    """The last of CLIP's words, which neither prompt has."""
    folder = damaged(tiny_flux_folder, tmp_path / "made", "text_encoder", EMBEDDINGS, NAN, 200)
    turn(load(str(folder), device="cpu"), tmp_path / "s")


def test_an_editor_s_network_is_looked_at_too(tmp_path: Path) -> None:
    source = tmp_path / "plain"
    tiny_pipelines.kontext().save_pretrained(source)
    folder = damaged(source, tmp_path / "made", "transformer", WEIGHTS["transformer"])
    editor = load_editor(read_folder(folder, "x"), Placement(torch.device("cpu"), torch.float32))
    order: Any = Order("make it red", 2, 1.0, 0)
    with pytest.raises(UndriftError, match=r"a velocity came out .*to_q\.weight' of the transformer is"):
        editor.edit(toy_picture(40, 24), order, Counter(), lambda done, steps: None)
