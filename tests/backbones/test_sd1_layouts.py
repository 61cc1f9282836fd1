"""Stable Diffusion as people hold it: whole checkpoints in one file, adapters, pipelines that were loaded already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.support.sd_checkpoint import save_checkpoint
from tests.support.slow_cases import slow_but_for
from tests.support.tiny_sd import pipeline, save_tiny_sd
from undrift.backbones import Backbone, from_pipeline, load
from undrift.backbones.folder import read_folder
from undrift.backbones.geometry import pack
from undrift.backbones.placement import gradients
from undrift.errors import ModelError
from undrift.methods.base import EditRequest
from undrift.methods.registry import get

SIZE = (64, 64)
PROMPT = "a red cat sitting on the grass"
LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"


def velocity(backbone: Backbone) -> Tensor:
    noise = pack(torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(1)))
    return backbone.velocity_field(backbone.embed([PROMPT]), backbone.geometry(SIZE), 3.0)(noise, 0.5)


def picture() -> Image.Image:
    return Image.effect_mandelbrot(SIZE, (-2, -1, 1, 1), 50).convert("RGB")


def same(one: Backbone, other: Backbone) -> None:
    """Network, text encoder and autoencoder: the same numbers, for the layout keeps every bit."""
    assert torch.equal(velocity(one), velocity(other))
    latent = one.encode([picture()])
    assert torch.equal(latent.packed, other.encode([picture()]).packed)
    assert one.decode(latent)[0].tobytes() == other.decode(latent)[0].tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sd(tmp_path_factory.mktemp("plain") / "sd")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The configurations and the tokenizer of the tiny pipeline, around other weights."""
    saved = save_tiny_sd(tmp_path / "base")
    for file in saved.glob("*/*.safetensors"):
        save_file({key: 0.5 * tensor for key, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
    return saved


OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def as_published(pipe: Any, folder: Path) -> Path:
    """Stable Diffusion 1.5's own files: a tokenizer of two lists, the VAE's attention by its names of 2022, and a
    safety checker that the index names."""
    pipe.save_pretrained(folder, safe_serialization=True)
    whole = folder / "tokenizer" / "tokenizer.json"
    model = json.loads(whole.read_text(encoding="utf-8"))["model"]
    whole.unlink()
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    (folder / "tokenizer" / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    state = {}
    for key, tensor in load_file(weights).items():
        for name, old in OLD_NAMES.items():
            key = key.replace(f"attentions.0.{name}.", f"attentions.0.{old}.")
        state[key] = tensor
    assert sum("attentions.0.proj_attn" in key for key in state) == 4
    save_file(state, weights, metadata={"format": "pt"})
    index = folder / "model_index.json"
    named = {**json.loads(index.read_text()), "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]}
    index.write_text(json.dumps(named))
    return folder


def test_the_published_layout(tmp_path: Path) -> None:
    from diffusers import AutoencoderKL

    pipe = pipeline()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = AutoencoderKL.from_config({**pipe.vae.config, "mid_block_add_attention": True}).eval()
    pipe.register_modules(vae=vae)
    same(load(str(as_published(pipe, tmp_path / "sd")), device="cpu"), from_pipeline(pipe, name="expected"))


@pytest.mark.slow
def test_a_whole_checkpoint_replaces_every_part(folder: Path, base: Path, tmp_path: Path) -> None:
    file = save_checkpoint(tmp_path / "whole.safetensors", pipeline())
    plain, backbone = load(str(folder), device="cpu"), load(str(base), device="cpu", transformer=file)
    same(backbone, plain)
    assert len({m.identity.weights_hash for m in (backbone, plain, load(str(base), device="cpu"))}) == 3
    assert backbone.identity.vae_hash not in ("", read_folder(base, "x").vae_hash)


def test_a_whole_checkpoint_needs_no_weights_beside_it(folder: Path, base: Path, tmp_path: Path) -> None:
    for weights in base.glob("*/*.safetensors"):
        weights.unlink()
    file = save_checkpoint(tmp_path / "whole.safetensors", pipeline())
    same(load(str(base), device="cpu", transformer=file), load(str(folder), device="cpu"))


@pytest.mark.parametrize(
    "own_layout", slow_but_for({True}, [True, False]), ids=["its authors' layout", "diffusers' layout"]
)
def test_a_unet_alone_leaves_the_other_parts(own_layout: bool, folder: Path, base: Path, tmp_path: Path) -> None:
    file = tmp_path / "unet.safetensors"
    if own_layout:
        save_checkpoint(file, pipeline(), ("unet",))
    else:
        save_file(load_file(folder / "unet" / "diffusion_pytorch_model.safetensors"), file)
    expected = pipeline()
    with torch.no_grad():
        for part in (expected.vae, expected.text_encoder):
            for tensor in part.state_dict().values():
                tensor.copy_(0.5 * tensor if tensor.is_floating_point() else tensor)
    backbone = load(str(base), device="cpu", transformer=file)
    same(backbone, from_pipeline(expected, name="expected"))
    assert backbone.identity.vae_hash == read_folder(base, "x").vae_hash


def changed(file: Path, **tensors: Tensor | None) -> Path:
    """The checkpoint with tensors replaced, or left out."""
    state = {**load_file(file), **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}
    save_file({name: tensor for name, tensor in state.items() if tensor is not None}, file)
    return file


FIRST = "model__diffusion_model__input_blocks__0__0__weight"
REFUSED: dict[str, tuple[dict[str, Tensor | None], str]] = {
    "inpainting": (
        {FIRST: torch.zeros(16, 9, 3, 3)},
        r"x.safetensors has 9 input channels: it is a model that fills masks: use the one that it was made",
    ),
    "XL": (
        {"conditioner__embedders__0__transformer__weight": torch.zeros(1)},
        r"is a checkpoint of Stable Diffusion XL, expected one of Stable Diffusion 1 or 2",
    ),
    "a tensor less of the UNet": (
        {FIRST: None},
        r"x.safetensors lacks tensors of the model in .*: download it again",
    ),
    "a tensor less of the VAE": (
        {"first_stage_model__decoder__conv_in__bias": None},
        r"x.safetensors lacks tensors of the model in .*: download it again",
    ),
    "a tensor less of the text encoder": (
        {"cond_stage_model__transformer__text_model__final_layer_norm__bias": None},
        r"x.safetensors lacks tensors of the model in .*: download it again",
    ),
    "another width": ({FIRST: torch.zeros(16, 5, 3, 3)}, r"x.safetensors cannot be loaded: .*shape"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_no_such_checkpoint_is_refused_in_one_line(fault: str, folder: Path, tmp_path: Path) -> None:
    tensors, message = REFUSED[fault]
    file = changed(save_checkpoint(tmp_path / "x.safetensors", pipeline()), **tensors)
    with pytest.raises(ModelError, match=message) as caught:
        load(str(folder), device="cpu", transformer=file)
    assert "\n" not in str(caught.value)


def test_gguf_is_for_transformers(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"x.gguf is GGUF, which is read for transformers alone"):
        load(str(folder), device="cpu", transformer=tmp_path / "x.gguf")


def lora_file(path: Path, kohya: bool) -> Path:
    """An adapter of rank 2 for one layer; kohya's is scaled by its alpha over the rank, a half."""
    generator = torch.Generator().manual_seed(0)
    down, up = torch.randn(2, 16, generator=generator), torch.randn(16, 2, generator=generator)
    if kohya:
        name = f"lora_unet_{LAYER.replace('.', '_')}"
        state = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(1.0)}
    else:
        state = {f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}
    save_file(state, path)
    return path


@pytest.mark.parametrize("kohya", [False, True], ids=["diffusers keys", "kohya keys"])
def test_a_lora_has_the_velocity_of_diffusers_own(kohya: bool, folder: Path, tmp_path: Path) -> None:
    file = lora_file(tmp_path / "style.safetensors", kohya)
    backbone = load(str(folder), device="cpu", loras=[f"{file}:0.5"])
    pipe = pipeline()
    pipe.load_lora_weights(str(file), adapter_name="style")
    pipe.set_adapters(["style"], [0.5])
    assert torch.equal(velocity(from_pipeline(pipe, name="tiny")), velocity(backbone))
    (label,) = backbone.identity.loras
    assert label.startswith("style.safetensors:0.5@")


def test_a_lora_is_added_to_the_weights_by_its_alpha(folder: Path, tmp_path: Path) -> None:
    """W + scale * alpha / rank * B A, in a layer whose weights are changed by hand."""
    file = lora_file(tmp_path / "style.safetensors", kohya=True)
    state = load_file(file)
    down, up = (state[next(key for key in state if key.endswith(f"{end}.weight"))] for end in ("down", "up"))
    pipe = pipeline()
    with torch.no_grad():
        pipe.unet.get_submodule(LAYER).weight += 0.5 * (1.0 / 2.0) * (up @ down)
    ours = velocity(load(str(folder), device="cpu", loras=[f"{file}:0.5"]))
    expected = velocity(from_pipeline(pipe, name="by hand"))
    plain = velocity(load(str(folder), device="cpu"))
    # The two differ by the rounding of one sum of products in one layer.
    assert float((ours - expected).abs().max()) < 1e-4 * float((plain - expected).abs().max())


def test_an_adapter_for_something_else_is_refused(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = tmp_path / "wrong.safetensors"
    save_file({"transformer.x_embedder.lora_A.weight": torch.zeros(2, 2)}, wrong)
    with pytest.raises(ModelError, match=r"wrong.safetensors holds nothing for a unet of a StableDiffusionPipeline"):
        load(str(folder), device="cpu", loras=[str(wrong)])
    right = lora_file(tmp_path / "right.safetensors", kohya=False)
    text = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora"
    more = {f"{text}_A.weight": torch.zeros(2, 16), f"{text}_B.weight": torch.zeros(16, 2)}
    save_file({**load_file(right), **more}, right)
    load(str(folder), device="cpu", loras=[str(right)])
    assert "its text encoder's part is left out, the unet's is used" in caplog.text


@pytest.mark.slow
def test_a_loaded_pipeline_is_taken_as_it_is_and_edits(folder: Path) -> None:
    pipe: Any = pipeline()
    backbone, plain = from_pipeline(pipe, name="mine"), load(str(folder), device="cpu")
    same(backbone, plain)
    assert (backbone.identity.name, backbone.identity.dtype) == ("mine", "float32")
    made = [edited(model, {"steps": 2, "inner_steps": 2}) for model in (backbone, plain)]
    assert torch.equal(*made)
    before = backbone.identity
    with torch.no_grad():
        next(iter(pipe.unet.parameters())).mul_(1.5)
    after = from_pipeline(pipe, name="mine").identity
    assert after.weights_hash != before.weights_hash
    assert after.vae_hash == before.vae_hash != ""


def edited(backbone: Backbone, params: dict[str, Any]) -> Tensor:
    """An edit with gradients through the network."""
    latent = backbone.encode([picture()])
    asked = EditRequest(latent, latent, 1, [PROMPT], ["a blue cat sitting on the grass"], [None], [0])
    return get("null_text", overrides=params).edit(backbone, asked).latent.packed


def test_gradients_pass_an_adapter_and_leave_it_as_it_is(folder: Path, tmp_path: Path) -> None:
    file = lora_file(tmp_path / "style.safetensors", kohya=False)
    backbone: Any = load(str(folder), device="cpu", loras=[str(file)])
    text = backbone.embed([""]).tensors["text"].clone().requires_grad_()
    noise = pack(torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(1)))
    with gradients():
        made = backbone.evaluate(noise, 0.5, {"text": text, "geometry": backbone.geometry(SIZE)})
        (slope,) = torch.autograd.grad(made.square().sum(), [text])
    assert float(slope.abs().max()) > 0
    assert not any(parameter.requires_grad for parameter in backbone._network.parameters())
