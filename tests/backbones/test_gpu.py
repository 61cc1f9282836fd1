"""What only a CUDA device shows: offloading, quantisation, compiled blocks, fused attention at head size 128."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from benchmarks.flux_bars import TEXT_TOKENS, transformer
from undrift.attention.columns import TextColumns
from undrift.attention.kernel import KernelName, Scaling, tapped_attention
from undrift.backbones import Backbone, from_pipeline, load
from undrift.backbones.compiling import compile_blocks
from undrift.backbones.conditioning import PromptTokens
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.folder import read_folder
from undrift.backbones.needs import part_bytes
from undrift.backbones.placement import Offload, Placement, Quantize
from undrift.backbones.prompts import conditioning_of
from undrift.errors import ModelError

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")]

CUDA = torch.device("cuda:0")

needs_bitsandbytes = pytest.mark.skipif(not importlib.util.find_spec("bitsandbytes"), reason="no bitsandbytes")
needs_torchao = pytest.mark.skipif(not importlib.util.find_spec("torchao"), reason="no torchao")


def velocity(backbone: Backbone) -> torch.Tensor:
    latent = backbone.encode([Image.new("RGB", (40, 24), "teal")])
    field = backbone.velocity_field(backbone.embed(["a red cat"]), latent.geometry, 2.0)
    return field(latent.packed, 0.6).cpu()


def made(folder: Path, offload: Offload = "none", quantize: Quantize = "none", **options: Any) -> Backbone:
    return load(str(folder), device="cuda:0", dtype="bf16", offload=offload, quantize=quantize, **options)


def devices(backbone: Any) -> set[str]:
    return {parameter.device.type for parameter in backbone._network.parameters()}


@pytest.mark.parametrize("offload", ["model", "group"])
def test_offloading_changes_no_bit(tiny_flux_folder: Path, offload: Offload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undrift.backbones.placement.GROUP_OFFLOAD_FROM", 100_000)
    plain, moved = made(tiny_flux_folder), made(tiny_flux_folder, offload)
    assert devices(plain) == {"cuda"}
    assert devices(moved) == {"cpu"}
    for _ in range(2):
        assert torch.equal(velocity(plain), velocity(moved))


@needs_bitsandbytes
def test_nf4_really_moves_under_model_offloading(tiny_flux_folder: Path) -> None:
    plain, moved = made(tiny_flux_folder, quantize="nf4"), made(tiny_flux_folder, "model", "nf4")
    assert devices(moved) == {"cpu"}
    assert torch.equal(velocity(plain), velocity(moved))
    assert devices(moved) == {"cuda"}, "it was used last"
    moved.decode(moved.encode([Image.new("RGB", (40, 24), "teal")]))
    assert devices(moved) == {"cpu"}, "the VAE was"
    assert torch.equal(velocity(plain), velocity(moved)), "and comes back as it was"


@needs_bitsandbytes
def test_nf4_is_streamed_under_group_offloading(tiny_flux_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undrift.backbones.placement.GROUP_OFFLOAD_FROM", 1_000)
    plain, moved = made(tiny_flux_folder, quantize="nf4"), made(tiny_flux_folder, "group", "nf4")
    for _ in range(2):
        assert devices(moved) == {"cpu"}
        assert torch.equal(velocity(plain), velocity(moved))


@needs_bitsandbytes
def test_nf4_has_the_velocity_of_diffusers_own(tiny_flux_folder: Path) -> None:
    from diffusers import FluxPipeline, PipelineQuantizationConfig

    held = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.bfloat16}
    large = ["transformer", "text_encoder_2"]
    config = PipelineQuantizationConfig(
        quant_backend="bitsandbytes_4bit", quant_kwargs=held, components_to_quantize=large
    )
    pipe = FluxPipeline.from_pretrained(tiny_flux_folder, quantization_config=config, dtype=torch.bfloat16)
    theirs = from_pipeline(pipe.to(CUDA), name="diffusers'")
    assert torch.equal(velocity(made(tiny_flux_folder, quantize="nf4")), velocity(theirs))


@needs_bitsandbytes
@pytest.mark.parametrize("offload", ["none", "model"])
def test_a_file_in_nf4_is_as_a_folder_in_nf4(tiny_flux_folder: Path, offload: Offload) -> None:
    (file,) = (tiny_flux_folder / "transformer").glob("*.safetensors")
    single = made(tiny_flux_folder, offload, "nf4", transformer=file)
    assert torch.equal(velocity(single), velocity(made(tiny_flux_folder, quantize="nf4")))


@needs_bitsandbytes
def test_nf4_takes_the_bytes_that_were_reckoned(tiny_flux_folder: Path) -> None:
    backbone: Any = made(tiny_flux_folder, quantize="nf4")
    held = 0
    for parameter in backbone._network.parameters():
        held += parameter.numel() * parameter.element_size()
        state = getattr(parameter, "quant_state", None)
        held += 0 if state is None else state.absmax.numel() * state.absmax.element_size()
    reckoned = part_bytes(read_folder(tiny_flux_folder, "tiny"), "transformer", torch.bfloat16, "nf4")
    assert held == pytest.approx(reckoned, rel=0.02)  # blocks' scales and norms


@needs_torchao
@pytest.mark.parametrize("offload", ["none", "model"])
def test_int8_is_near_to_bfloat16(tiny_flux_folder: Path, offload: Offload) -> None:
    plain, held = velocity(made(tiny_flux_folder)), velocity(made(tiny_flux_folder, offload, "int8"))
    assert (held - plain).norm() < 0.05 * plain.norm()


def test_a_full_device_is_one_line_and_the_next_turn_is_as_it_was(tiny_flux_folder: Path) -> None:
    backbone = made(tiny_flux_folder, "model")
    before = velocity(backbone)
    torch.cuda.empty_cache()
    room = torch.cuda.memory_reserved(CUDA) + 2**23
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(CUDA).total_memory, CUDA)
    try:
        with pytest.raises(ModelError, match="the memory of cuda:0 is too small: try"):
            backbone.encode([Image.new("RGB", (4096, 4096), "teal")])
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, CUDA)
    assert torch.equal(velocity(backbone), before)


@pytest.mark.parametrize("compiled", [False, True])
def test_velocity_is_that_of_the_plain_network_at_head_size_128(compiled: bool) -> None:
    from diffusers.pipelines.flux.pipeline_flux import FluxPipeline

    network, side = transformer((1, 1), CUDA, torch.bfloat16, heads=2), 32
    generator = torch.Generator().manual_seed(0)
    text, pooled = (torch.randn(1, *shape, generator=generator) for shape in ((TEXT_TOKENS, 4096), (768,)))
    x = torch.randn(1, side**2, 64, generator=generator).to(CUDA)
    with torch.inference_mode():
        expected = network(
            hidden_states=x.bfloat16(),
            timestep=torch.tensor([0.5], device=CUDA, dtype=torch.bfloat16),
            guidance=torch.tensor([3.5], device=CUDA),
            encoder_hidden_states=text.to(CUDA, torch.bfloat16),
            pooled_projections=pooled.to(CUDA, torch.bfloat16),
            txt_ids=torch.zeros(TEXT_TOKENS, 3, device=CUDA, dtype=torch.bfloat16),
            img_ids=FluxPipeline._prepare_latent_image_ids(1, side, side, CUDA, torch.bfloat16),
            return_dict=False,
        )[0].float()
    if compiled:
        compile_blocks(network)
    backbone = FluxBackbone(network, placement=Placement(CUDA, torch.bfloat16))
    geometry = backbone.geometry((16 * side, 16 * side))
    prompt = PromptTokens("", (), ())
    found = backbone.velocity_field(conditioning_of(text, pooled, (prompt,)), geometry, 3.5)(x, 0.5)
    assert (found - expected).norm() <= (0.02 if compiled else 0.0) * expected.norm()


def test_compiled_blocks_are_near_to_eager_ones(tiny_flux_folder: Path) -> None:
    plain, compiled = velocity(made(tiny_flux_folder)), velocity(made(tiny_flux_folder, compile=True))
    assert (compiled - plain).norm() < 0.02 * plain.norm()


@pytest.mark.parametrize("tokens", [256, 1024])
def test_fused_scaling_agrees_at_head_size_128(tokens: int) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 512 + tokens, 4, 128, device="cuda", dtype=torch.bfloat16) for _ in range(3))
    columns = TextColumns.first(15, 2).to(query.device)
    scaling = Scaling(torch.where(torch.rand(2, tokens, device="cuda") > 0.5, 2.0, 0.8), columns)

    def by(kernel: KernelName) -> list[torch.Tensor]:
        out, weights = tapped_attention(query, key, value, 512, read=columns, scaling=scaling, kernel=kernel)
        assert weights is not None
        return [out.float(), weights.float()]

    for fused, whole in zip(by("fused"), by("materialised"), strict=True):
        # bfloat16 has eight bits, and the two round in other places.
        assert (fused - whole).norm() < 2**-7 * whole.norm()
