"""The layouts that people hold: each loads with the velocity of what it was made from, or is refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.support import tiny_flux, tiny_pipelines
from tests.support.slow_cases import slow_but_for
from tests.support.tiny_pipelines import FAMILIES, saved
from tests.support.weight_files import gguf_file, transformer_weights
from undrift.backbones import Backbone, Geometry, from_pipeline, load
from undrift.backbones.folder import read_folder
from undrift.errors import InputError, ModelError

GRID = Geometry(height=40, width=24, rows=5, columns=3, token_side=8)
PROMPT = "a red cat on the grass"
BFLOAT = torch.bfloat16
BF16 = 2.0**-8
"""Half a unit in the last place of a bfloat16 of size 1; float16 is finer."""


def noise() -> Tensor:
    return torch.randn(1, GRID.tokens, 16, generator=torch.Generator().manual_seed(6))


def velocity(backbone: Backbone) -> Tensor:
    return backbone.velocity_field(backbone.embed([PROMPT]), GRID, 1.0)(noise(), 0.6)


def same(backbone: Backbone, expected: Tensor, bar: float = 0.0) -> None:
    """The bar is how exactly the layout keeps the weights, times what a random network of this size makes of it."""
    # Exactly where the layout keeps every bit, else the number format of the variant (LOADS).
    torch.testing.assert_close(velocity(backbone), expected, atol=bar, rtol=0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny pipeline of each family, saved plainly."""
    made = {name: saved(name, tmp_path_factory.mktemp("plain") / name) for name in FAMILIES}
    return {**made, "flux": tiny_flux.save_tiny_flux(tmp_path_factory.mktemp("plain") / "flux")}


@pytest.fixture(scope="module")
def expected(folders: dict[str, Path]) -> dict[str, Tensor]:
    return {name: velocity(load(str(folder), device="cpu")) for name, folder in folders.items()}


def plain(source: Path, made: Path) -> Path:
    return Path(shutil.copytree(source, made))


def variant(name: str, shard: str | None = None) -> Callable[[Path, Path], Path]:
    """Saved with ``variant``, in its number format, in shards where a size is given."""

    def make(source: Path, made: Path) -> Path:
        from diffusers import DiffusionPipeline

        dtype = {"fp16": torch.float16, "bf16": torch.bfloat16, "": torch.float32}[name]
        pipe = DiffusionPipeline.from_pretrained(source, dtype=dtype)
        size = {} if shard is None else {"max_shard_size": shard}
        pipe.save_pretrained(made, variant=name or None, **size)
        return made

    return make


def both_variants(source: Path, made: Path) -> Path:
    """Beside the plain weights lies a variant that is another model's."""
    plain(source, made)
    for file in list(made.glob("*/*.safetensors")):
        stem = file.name.removesuffix(".safetensors")
        (file.parent / f"{stem}.fp16.safetensors").write_bytes(b"not these")
    return made


def clip_keys(prefix: bool) -> Callable[[Path, Path], Path]:
    """CLIP's weights with and without ``text_model.`` in front, as older and newer libraries save them."""

    def make(source: Path, made: Path) -> Path:
        file = plain(source, made) / "text_encoder" / "model.safetensors"
        bare = {key.removeprefix("text_model."): tensor for key, tensor in load_file(file).items()}
        save_file({f"text_model.{key}" if prefix else key: value for key, value in bare.items()}, file)
        return made

    return make


def odd_files(source: Path, made: Path) -> Path:
    """A checkpoint in one file beside the parts, a part that the index does not name, and notes."""
    plain(source, made)
    (made / "flux1-dev.safetensors").write_bytes(b"\xff" * 10)
    (made / "controlnet").mkdir()
    (made / "controlnet" / "model.safetensors").write_bytes(b"\xff" * 10)
    (made / "README.md").write_text("# a model")
    return made


def schnell(source: Path, made: Path) -> Path:
    return tiny_flux.save_tiny_flux(made, guidance=False, use_dynamic_shifting=False, shift=1.0)


LOADS: dict[str, tuple[str, Callable[[Path, Path], Path], float]] = {
    "flux": ("flux", plain, 0.0),
    "flux in shards": ("flux", variant("", "30KB"), 0.0),
    "flux, variant fp16": ("flux", variant("fp16"), 8 * BF16),
    "flux, variant bf16": ("flux", variant("bf16"), 64 * BF16),
    "flux, variant fp16 in shards": ("flux", variant("fp16", "20KB"), 8 * BF16),
    "flux, variant bf16 in shards": ("flux", variant("bf16", "20KB"), 64 * BF16),
    "flux, plain and variant": ("flux", both_variants, 0.0),
    "flux, CLIP keys with a prefix": ("flux", clip_keys(True), 0.0),
    "flux, CLIP keys without one": ("flux", clip_keys(False), 0.0),
    "flux, other files beside": ("flux", odd_files, 0.0),
    "sd3": ("sd3", plain, 0.0),
    "sd3 in shards": ("sd3", variant("", "30KB"), 0.0),
    "sd3, variant fp16": ("sd3", variant("fp16"), 8 * BF16),
    "flux2": ("flux2", plain, 0.0),
    "flux2 in shards": ("flux2", variant("", "30KB"), 0.0),
    "flux2, variant bf16": ("flux2", variant("bf16"), 64 * BF16),
    "qwen_image": ("qwen_image", plain, 0.0),
    "qwen_image, variant bf16": ("qwen_image", variant("bf16"), 64 * BF16),
}
QUICK = {"flux, variant bf16 in shards", "sd3 in shards"}


@pytest.mark.parametrize("layout", slow_but_for(QUICK, LOADS))
def test_it_loads(layout: str, folders: dict[str, Path], expected: dict[str, Tensor], tmp_path: Path) -> None:
    family, make, bar = LOADS[layout]
    same(load(str(make(folders[family], tmp_path / "made")), device="cpu"), expected[family], bar)


def test_schnell_loads(folders: dict[str, Path], tmp_path: Path) -> None:
    assert load(str(schnell(folders["flux"], tmp_path / "s")), device="cpu").capabilities.guidance == "none"


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def of_class(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        edit(folder / "model_index.json", _class_name=name)
        return folder

    return make


def with_channels(count: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        edit(folder / "transformer" / "config.json", in_channels=count)
        return folder

    return make


def only(*names: str) -> Callable[[Path], Path]:
    """A folder without an index that holds these files, LoRAs among them."""

    def make(folder: Path) -> Path:
        shutil.rmtree(folder)
        folder.mkdir()
        for name in names:
            if name.endswith(".safetensors"):
                save_file({"transformer.x_embedder.lora_A.weight": torch.zeros(2, 2)}, folder / name)
            else:
                (folder / name).write_text("{}")
        return folder

    return make


def one_part(folder: Path) -> Path:
    return folder / "transformer"


def saved_as(method: dict[str, Any]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        edit(folder / "transformer" / "config.json", quantization_config=method)
        return folder

    return make


_saved_in_nf4 = saved_as({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"})


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "Fill": (of_class("FluxFillPipeline"), r"is a model that fills masks: use FLUX.1-dev, and --only"),
    "Control": (of_class("FluxControlPipeline"), r"is steered by a control picture: use FLUX.1-dev"),
    "ControlNet": (of_class("FluxControlNetPipeline"), r"is a model with a ControlNet: use FLUX.1-dev"),
    "Redux": (of_class("FluxPriorReduxPipeline"), r"is an adapter for prompts made of pictures: use FLUX.1-dev"),
    "Kontext": (of_class("FluxKontextPipeline"), r"is an editor by instructions .*: use it with --editor"),
    "Qwen-Image-Edit": (of_class("QwenImageEditPipeline"), r"is the first Qwen-Image-Edit: use .*2509 or later"),
    "Z-Image": (of_class("ZImagePipeline"), r"is a ZImagePipeline: expected one of Flux2KleinPipeline, "),
    "384 channels": (with_channels(384), r"has 384 input channels: it is FLUX.1 Fill"),
    "128 channels": (with_channels(128), r"has 128 input channels: it is FLUX.1 Control"),
    "LoRA": (only("pytorch_lora_weights.safetensors"), r"holds a LoRA alone: give the model .* with --lora"),
    "LoRA of peft": (only("adapter_config.json"), r"holds a LoRA alone"),
    "modular": (only("modular_model_index.json"), r"is a modular pipeline \(modular_model_index.json\)"),
    "GGUF": (only("flux1-dev-Q4_K_S.gguf"), r"holds GGUF files of a transformer: .* with --transformer"),
    "a part": (one_part, r"is one part of a pipeline: give the folder above it"),
    "nothing": (only("README.md"), r"has no model_index.json: expected the folder of a diffusers pipeline"),
    "nf4": (
        _saved_in_nf4,
        r"transformer was saved as nf4, which needs bitsandbytes: pip install 'undrift\[quantize\]'",
    ),
    "int8": (
        saved_as({"quant_method": "bitsandbytes", "load_in_8bit": True}),
        r"transformer was saved as bitsandbytes, which needs bitsandbytes",
    ),
}


@pytest.mark.parametrize("layout", REFUSED)
def test_it_is_refused(
    layout: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, message = REFUSED[layout]
    monkeypatch.setattr("importlib.util.find_spec", _without("bitsandbytes"))
    with pytest.raises(ModelError, match=message) as caught:
        load(str(make(plain(folders["flux"], tmp_path / "made"))), device="cpu")
    assert "\n" not in str(caught.value)


def _without(package: str) -> Callable[..., Any]:
    from importlib.util import find_spec

    return lambda name, *rest: None if name == package else find_spec(name, *rest)


def test_there_are_enough_layouts() -> None:
    assert len(LOADS) + len(REFUSED) >= 25


def original_layout(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """FLUX.2's weights as its authors publish them: fused projections, other names, shift before scale."""
    names = {
        "x_embedder": "img_in",
        "context_embedder": "txt_in",
        "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
        "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
        "double_stream_modulation_img.linear": "double_stream_modulation_img.lin",
        "double_stream_modulation_txt.linear": "double_stream_modulation_txt.lin",
        "single_stream_modulation.linear": "single_stream_modulation.lin",
        "proj_out": "final_layer.linear",
        "norm_out.linear": "final_layer.adaLN_modulation.1",
    }
    inside = {
        "attn.norm_q": "img_attn.norm.query_norm",
        "attn.norm_k": "img_attn.norm.key_norm",
        "attn.to_out.0": "img_attn.proj",
        "ff.linear_in": "img_mlp.0",
        "ff.linear_out": "img_mlp.2",
        "attn.norm_added_q": "txt_attn.norm.query_norm",
        "attn.norm_added_k": "txt_attn.norm.key_norm",
        "attn.to_add_out": "txt_attn.proj",
        "ff_context.linear_in": "txt_mlp.0",
        "ff_context.linear_out": "txt_mlp.2",
    }
    single = {
        "attn.to_qkv_mlp_proj": "linear1",
        "attn.to_out": "linear2",
        "attn.norm_q": "norm.query_norm",
        "attn.norm_k": "norm.key_norm",
    }
    made: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = key.removesuffix(".weight")
        kind, _, rest = name.partition(".")
        number, _, layer = rest.partition(".")
        if kind == "transformer_blocks" and layer in inside:
            ending = "scale" if ".norm" in layer else "weight"
            made[f"double_blocks.{number}.{inside[layer]}.{ending}"] = tensor
        elif kind == "single_transformer_blocks":
            ending = "scale" if ".norm" in layer else "weight"
            made[f"single_blocks.{number}.{single[layer]}.{ending}"] = tensor
        elif name == "norm_out.linear":
            scale, shift = tensor.chunk(2)
            made[f"{names[name]}.weight"] = torch.cat([shift, scale])
        elif name in names:
            made[f"{names[name]}.weight"] = tensor
    for index in range(sum(key.endswith("attn.to_q.weight") for key in state)):
        block = f"transformer_blocks.{index}.attn"
        for stream, parts in (("img", ("to_q", "to_k", "to_v")), ("txt", ("add_q_proj", "add_k_proj", "add_v_proj"))):
            fused = torch.cat([state[f"{block}.{part}.weight"] for part in parts])
            made[f"double_blocks.{index}.{stream}_attn.qkv.weight"] = fused
    assert sum(tensor.numel() for tensor in made.values()) == sum(tensor.numel() for tensor in state.values())
    return made


def emptied(source: Path, made: Path) -> Path:
    """A pipeline whose transformer's weights are not there: another file is to bring them."""
    plain(source, made)
    (made / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    return made


def test_a_single_file_in_its_authors_layout(
    folders: dict[str, Path], expected: dict[str, Tensor], tmp_path: Path
) -> None:
    file = tmp_path / "flux2.safetensors"
    save_file(original_layout(transformer_weights(folders["flux2"])), file)
    backbone = load(str(emptied(folders["flux2"], tmp_path / "base")), device="cpu", transformer=file)
    same(backbone, expected["flux2"])


@pytest.mark.parametrize("family", ["flux", "sd3", "qwen_image"])
def test_a_single_file_in_diffusers_layout(
    family: str, folders: dict[str, Path], expected: dict[str, Tensor], tmp_path: Path
) -> None:
    file = tmp_path / "one.safetensors"
    save_file(transformer_weights(folders[family]), file)
    base = emptied(folders[family], tmp_path / "base")
    backbone = load(str(base), device="cpu", transformer=file)
    same(backbone, expected[family])
    assert backbone.identity.weights_hash != read_folder(folders[family], "x").weights_hash


def test_gguf_has_the_velocity_of_diffusers_own(
    folders: dict[str, Path], expected: dict[str, Tensor], tmp_path: Path
) -> None:
    from diffusers import FluxTransformer2DModel, GGUFQuantizationConfig

    file = gguf_file(tmp_path / "tiny-Q8_0.gguf", transformer_weights(folders["flux"]))
    backbone = load(str(emptied(folders["flux"], tmp_path / "base")), device="cpu", transformer=file)
    assert backbone.identity.quantize == "gguf"
    close = (velocity(backbone) - expected["flux"]).abs().max()
    assert 0.0 < float(close) < 64 * BF16  # eight bits a weight, as bfloat16 has
    pipe = tiny_flux.pipeline()
    pipe.transformer = FluxTransformer2DModel.from_single_file(
        str(file),
        quantization_config=GGUFQuantizationConfig(compute_dtype=torch.float32),
        config=str(folders["flux"]),
        subfolder="transformer",
        dtype=torch.float32,
    )
    same(from_pipeline(pipe, name="tiny"), velocity(backbone))


def lora_file(path: Path, kohya: bool = False, seed: int = 0, text: bool = False) -> Path:
    """An adapter for both output projections of the first double block."""
    generator = torch.Generator().manual_seed(seed)
    down, up = torch.randn(2, 32, generator=generator), torch.randn(32, 2, generator=generator)
    if kohya:
        name = "lora_unet_double_blocks_0_img_attn_proj"
        state = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(2.0)}
    else:
        name = "transformer.transformer_blocks.0.attn.to_out.0"
        state = {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
    if text:
        layer = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
        state |= {f"{layer}.lora_A.weight": torch.zeros(2, 16), f"{layer}.lora_B.weight": torch.zeros(16, 2)}
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    return path


@pytest.mark.parametrize("kohya", [False, True], ids=["diffusers keys", "kohya keys"])
def test_a_lora_has_the_velocity_of_diffusers_own(
    kohya: bool, folders: dict[str, Path], expected: dict[str, Tensor], tmp_path: Path
) -> None:
    file = lora_file(tmp_path / "style.safetensors", kohya)
    backbone = load(str(folders["flux"]), device="cpu", loras=[f"{file}:0.5"])
    assert float((velocity(backbone) - expected["flux"]).abs().max()) > 1e-2
    pipe = tiny_flux.pipeline()
    pipe.load_lora_weights(str(file), adapter_name="style")
    pipe.set_adapters(["style"], [0.5])
    same(from_pipeline(pipe, name="tiny"), velocity(backbone))
    (label,) = backbone.identity.loras
    assert label.startswith("style.safetensors:0.5@")


def test_adapters_and_their_scales_make_other_weights(folders: dict[str, Path], tmp_path: Path) -> None:
    one, two = (lora_file(tmp_path / f"{seed}.safetensors", seed=seed) for seed in (1, 2))
    added = [(), (f"{one}",), (f"{one}:0.5",), (f"{one}", f"{two}:2"), (f"{two}:2", f"{one}")]
    models = [load(str(folders["flux"]), device="cpu", loras=files).identity for files in added]
    assert len({identity.weights_hash for identity in models}) == len(added)
    assert len({identity.vae_hash for identity in models}) == 1


@pytest.mark.parametrize("family", ["sd3", "flux2", "qwen_image"])
def test_every_family_takes_adapters(
    family: str, folders: dict[str, Path], expected: dict[str, Tensor], tmp_path: Path
) -> None:
    file = lora_file(tmp_path / "style.safetensors")
    backbone = load(str(folders[family]), device="cpu", loras=[str(file)])
    assert float((velocity(backbone) - expected[family]).abs().max()) > 1e-3


def test_wrong_adapters_are_refused(
    folders: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, wrong = str(folders["flux"]), tmp_path / "wrong.safetensors"
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


def test_wrong_single_files_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder, file = str(folders["flux"]), tmp_path / "fill.safetensors"
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
    name: str, line: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """What ComfyUI's files hold: without their scales the weights would be others, and nobody would be told."""
    file = tmp_path / "x.safetensors"
    save_file({**transformer_weights(folders["flux"]), name: torch.ones(1)}, file)
    with pytest.raises(ModelError, match=line) as caught:
        load(str(folders["flux"]), device="cpu", transformer=file)
    assert "\n" not in str(caught.value)


def test_a_loaded_pipeline_is_taken_as_it_is(folders: dict[str, Path], expected: dict[str, Tensor]) -> None:
    for name, family in FAMILIES.items():
        pipe = family.make()
        backbone = from_pipeline(pipe, name="mine")
        same(backbone, expected[name])
        assert (backbone.identity.name, backbone.identity.dtype) == ("mine", "float32")
        before = backbone.identity.weights_hash
        with torch.no_grad():
            next(iter(pipe.transformer.parameters())).mul_(1.5)
        assert from_pipeline(pipe, name="mine").identity.weights_hash != before
    with pytest.raises(ModelError, match=r"mine is an editor by instructions \(FluxKontextPipeline\): use it with"):
        from_pipeline(tiny_pipelines.kontext(), name="mine")
