"""Weights in fewer bits: what was asked for, what files hold already, and how both are recorded and counted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.support import tiny_flux, tiny_pipelines
from tests.support.weight_files import gguf_file, transformer_weights
from undrift.backbones import Backbone, Geometry, components, from_pipeline, load, loading, quantizing
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.folder import read_folder
from undrift.backbones.needs import part_bytes
from undrift.backbones.placement import Placement, quantize_option
from undrift.backbones.quantizing import quantized_in_place
from undrift.backbones.single_file import check_held
from undrift.backbones.weights import resident_bytes
from undrift.errors import ModelError

GRID = Geometry(height=40, width=24, rows=5, columns=3, token_side=8)
BFLOAT = torch.bfloat16
BF16 = 2.0**-8
"""Half a unit in the last place of a bfloat16 of size 1."""

FOUR_BITS = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}


def velocity(backbone: Backbone) -> Tensor:
    noise = torch.randn(1, GRID.tokens, 16, generator=torch.Generator().manual_seed(6))
    return backbone.velocity_field(backbone.embed(["a red cat"]), GRID, 1.0)(noise, 0.6)


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def nf4_folder(source: Path, made: Path) -> Path:
    """A pipeline whose transformer says that it was saved in four bits."""
    edit(shutil.copytree(source, made) / "transformer" / "config.json", quantization_config=FOUR_BITS)
    return made


@pytest.mark.parametrize("quantize", ["int8", "fp8"])
def test_a_file_is_quantised_as_a_folder_is(quantize: Any, tiny_flux_folder: Path, tmp_path: Path) -> None:
    """diffusers reads the tensors of a file as if they were quantised already, and would leave them as they are."""
    pytest.importorskip("torchao")
    file = tmp_path / "one.safetensors"
    save_file(transformer_weights(tiny_flux_folder), file)
    folder = read_folder(tiny_flux_folder, "x")
    placement = Placement(torch.device("cpu"), BFLOAT, quantize=quantize)
    whole, single = (FluxBackbone.from_folder(one, placement) for one in (folder, loading.with_file(folder, file)))
    assert single.identity.quantize == quantize
    assert type(held_weight(single)) is type(held_weight(whole)) is not torch.nn.Parameter
    assert torch.equal(velocity(single), velocity(whole))


def test_layers_in_four_bits_are_as_near_as_they_can_be() -> None:
    """NF4's widest gap is from -1 to -.6962 of the largest of 64 numbers (arXiv 2305.14314, appendix E).

    Rounding errs by half of it; the library's kernel for processors takes the other neighbour now and then.
    """
    library = pytest.importorskip("bitsandbytes").functional
    network = tiny_flux.pipeline().transformer
    before = network.transformer_blocks[0].attn.to_q.weight.detach().clone()
    quantized_in_place(network, Placement(torch.device("cpu"), BFLOAT, quantize="nf4"))
    after = network.transformer_blocks[0].attn.to_q.weight
    assert after.dtype == torch.uint8
    numbers = library.dequantize_4bit(after.data, after.quant_state).float()
    largest = before.float().flatten().view(-1, 64).abs().amax(1, keepdim=True)
    error = (numbers - before.float()).flatten().view(-1, 64).abs()
    assert bool((error <= largest * 0.3038).all())
    assert float((error > largest * (0.3038 / 2 + BF16)).float().mean()) < 0.01
    assert not any(
        isinstance(layer, torch.nn.Linear) and layer.weight.dtype != torch.uint8 for layer in network.modules()
    )


def test_what_was_saved_in_four_bits_has_the_velocity_of_diffusers_own(
    tiny_flux_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """diffusers asks for a CUDA device; bitsandbytes computes on processors too."""
    pytest.importorskip("bitsandbytes")
    from diffusers import BitsAndBytesConfig, DiffusionPipeline, FluxTransformer2DModel
    from diffusers.quantizers.bitsandbytes.bnb_quantizer import BnB4BitDiffusersQuantizer

    monkeypatch.setattr(BnB4BitDiffusersQuantizer, "validate_environment", lambda self, *_, **__: None)
    monkeypatch.setattr(BnB4BitDiffusersQuantizer, "update_device_map", lambda self, _: {"": "cpu"})
    monkeypatch.setattr(quantizing, "ON_CUDA_ALONE", ())
    folder = Path(shutil.copytree(tiny_flux_folder, tmp_path / "saved"))
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=BFLOAT)
    saved = FluxTransformer2DModel.from_pretrained(folder / "transformer", quantization_config=config, dtype=BFLOAT)
    shutil.rmtree(folder / "transformer")
    saved.save_pretrained(folder / "transformer")
    backbone = load(str(folder), device="cpu", dtype="bf16")
    own = from_pipeline(DiffusionPipeline.from_pretrained(folder, dtype=BFLOAT), name="own")
    assert (backbone.identity.quantize, own.identity.quantize) == ("saved-nf4", "nf4")
    assert torch.equal(velocity(backbone), velocity(own))
    assert held_weight(backbone).dtype == torch.uint8


@pytest.mark.parametrize("config", ["Int8WeightOnlyConfig", "Float8WeightOnlyConfig"])
def test_a_pipeline_that_torchao_quantised_is_told_from_others(config: str, tiny_flux_folder: Path) -> None:
    quantization = pytest.importorskip("torchao.quantization")
    pipe = tiny_flux.pipeline().to(BFLOAT)
    plain = from_pipeline(pipe, name="mine").identity
    quantization.quantize_(pipe.transformer, getattr(quantization, config)())
    made = from_pipeline(pipe, name="mine").identity
    assert made.weights_hash != plain.weights_hash
    with torch.no_grad():
        pipe.transformer.transformer_blocks[0].attn.to_q.weight.scale.mul_(2)
    assert from_pipeline(pipe, name="mine").identity.weights_hash != made.weights_hash


@pytest.mark.parametrize(("name", "times"), [("one.safetensors", 1), ("one.gguf", 0)])
def test_a_file_is_quantised_unless_it_is(
    name: str, times: int, tiny_flux_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, file = transformer_weights(tiny_flux_folder), tmp_path / name
    if file.suffix == ".gguf":
        gguf_file(file, state)
    else:
        save_file(state, file)
    asked: list[str] = []
    monkeypatch.setattr(components, "quantization", lambda *_: None)
    monkeypatch.setattr(
        components, "quantized_in_place", lambda network, placement: asked.append(type(network).__name__)
    )
    folder = loading.with_file(read_folder(tiny_flux_folder, "x"), file)
    FluxBackbone.from_folder(folder, Placement(torch.device("cpu"), torch.float32, quantize="nf4"))
    assert asked == ["FluxTransformer2DModel"] * times


def held_weight(backbone: Any) -> Tensor:
    weight: Tensor = backbone._network.get_parameter("transformer_blocks.0.attn.to_q.weight")
    return weight


def test_beside_gguf_the_text_encoder_alone_is_quantised(
    tiny_flux_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What owners of small cards do: the transformer as GGUF, T5 in four bits. Both are recorded."""
    file = gguf_file(tmp_path / "tiny-Q8_0.gguf", transformer_weights(tiny_flux_folder))
    asked: list[str] = []
    monkeypatch.setattr(components, "quantization", lambda cls, placement: asked.append(cls.__name__))
    monkeypatch.setattr(
        loading, "_placement", lambda *_, **__: Placement(torch.device("cpu"), torch.float32, quantize="nf4")
    )
    backbone = load(str(tiny_flux_folder), transformer=file)
    assert asked == ["T5EncoderModel"]
    assert backbone.identity.quantize == "gguf+nf4"
    assert quantize_option(backbone.identity.quantize) == "nf4"


@pytest.mark.parametrize(("quantize", "compiled", "told"), [("int8", False, 1), ("int8", True, 0), ("nf4", False, 0)])
def test_eight_bits_are_told_to_be_slow_unless_compiled(
    quantize: Any, compiled: bool, told: int, tiny_flux_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    placement = Placement(torch.device("cpu"), torch.float32, quantize=quantize, compiled=compiled)
    monkeypatch.setattr(loading, "_placement", lambda *_, **__: placement)
    monkeypatch.setattr(FluxBackbone, "from_folder", classmethod(lambda *_: None))
    load(str(tiny_flux_folder), tell=lines.append)
    assert lines == ["--quantize int8 is slow unless the network is compiled: add --compile"] * told


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [("none", "none"), ("nf4", "nf4"), ("gguf", "none"), ("saved-nf4", "none"), ("saved-nf4+int8", "int8")],
)
def test_what_a_file_holds_quantised_is_not_asked_for_again(recorded: str, asked: str) -> None:
    assert quantize_option(recorded) == asked


def test_what_is_quantised_already_is_told_from_what_was_asked_for(tiny_flux_folder: Path, tmp_path: Path) -> None:
    folder = read_folder(nf4_folder(tiny_flux_folder, tmp_path / "nf4"), "x")
    assert (folder.packed("transformer"), folder.quantizable()) == ("saved-nf4", ("text_encoder_2",))
    check_held(folder, "nf4")  # T5 is left to be quantised
    edit(folder.path / "text_encoder_2" / "config.json", quantization_config=FOUR_BITS)
    with pytest.raises(ModelError, match=r"^text_encoder_2, transformer of x were saved quantised already, .* nf4$"):
        check_held(folder, "nf4")


def test_gguf_is_not_quantised_again(tiny_flux_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stable Diffusion 3 without T5: nothing else is large."""
    base = tiny_pipelines.saved("sd3", tmp_path / "base")
    edit(base / "model_index.json", text_encoder_3=[None, None], tokenizer_3=[None, None])
    monkeypatch.setattr(
        loading, "_placement", lambda *_, **__: Placement(torch.device("cuda"), BFLOAT, quantize="int8")
    )
    file = gguf_file(tmp_path / "tiny-Q8_0.gguf", transformer_weights(base))
    with pytest.raises(ModelError, match=r"tiny-Q8_0.gguf is quantised already, .*: leave out --quantize int8"):
        load(str(base), transformer=file)


def test_a_file_in_eight_bits_is_converted_and_counted_as_such(tiny_flux_folder: Path, tmp_path: Path) -> None:
    file, state = tmp_path / "fp8.safetensors", transformer_weights(tiny_flux_folder)
    save_file({key: tensor.to(torch.float8_e4m3fn) for key, tensor in state.items()}, file)
    assert resident_bytes(file, 2) == 2 * sum(tensor.numel() for tensor in state.values())
    backbone = load(str(tiny_flux_folder), device="cpu", transformer=file)
    held = backbone._network.get_parameter("proj_out.weight")  # type: ignore[attr-defined]
    assert torch.equal(held, state["proj_out.weight"].to(torch.float8_e4m3fn).float())


def test_packed_weights_count_as_they_lie_on_the_disk(tiny_flux_folder: Path, tmp_path: Path) -> None:
    """Two numbers of four bits in a byte: counted as numbers they would be twice what they are, or more.

    Their scales stay float32 in memory, which is a ninth of it, and numbers of eight bits stay what they are.
    """
    folder = nf4_folder(tiny_flux_folder, tmp_path / "packed")
    file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    eight = torch.zeros(5, dtype=torch.float8_e4m3fn)
    packed = {"a.weight": torch.zeros(1000, dtype=torch.uint8), "a.weight.absmax": torch.zeros(7), "c": eight}
    save_file({**packed, "b.weight": torch.zeros(10)}, file)
    read = read_folder(folder, "x")
    assert part_bytes(read, "transformer", BFLOAT, "none") == 1000 + 4 * 7 + 5 + 2 * 10
    others = sum(part_bytes(read, part, BFLOAT, "none") for part in read.weighty_parts() if part != "transformer")
    assert read.resident_bytes(2) == 1000 + 4 * 7 + 5 + 2 * 10 + others
