"""In fewer bits, too, the velocity is what diffusers' own pipeline makes of weights that diffusers quantised.

Skipped where the libraries are not installed: ``pip install 'undrift[quantize]'``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support import tiny_flux
from undrift.backbones import Backbone
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.folder import read_folder
from undrift.backbones.placement import Placement
from undrift.backbones.prompts import PromptEncoder
from undrift.backbones.quantizing import quantized_in_place

BFLOAT = torch.bfloat16
PROMPT = "a red cat"
SIZE = 40, 24
CPU = Placement(torch.device("cpu"), BFLOAT, quantize="nf4")


def asked(pipe: Any) -> tuple[Tensor, Tensor]:
    """The first latents that a pipeline gives its transformer, and what comes back."""
    pipe.set_progress_bar_config(disable=True)
    calls: list[tuple[Tensor, Tensor]] = []
    hook = pipe.transformer.register_forward_hook(
        lambda _, args, named, out: calls.append((named["hidden_states"], out[0])), with_kwargs=True
    )
    try:
        pipe(
            prompt=[PROMPT],
            width=SIZE[0],
            height=SIZE[1],
            num_inference_steps=2,
            guidance_scale=3.5,
            max_sequence_length=tiny_flux.T5_LIMIT,
            generator=torch.Generator().manual_seed(6),
            output_type="latent",
        )
    finally:
        hook.remove()
    return calls[0]


def velocity(backbone: Backbone, latents: Tensor) -> Tensor:
    return backbone.velocity_field(backbone.embed([PROMPT]), backbone.geometry(SIZE), 3.5)(latents.float(), 1.0)


@pytest.mark.parametrize("quantize", ["int8", "fp8"])
def test_in_eight_bits(quantize: Any, tiny_flux_folder: Path) -> None:
    ao = pytest.importorskip("torchao.quantization")
    from diffusers import FluxPipeline, PipelineQuantizationConfig, TorchAoConfig
    from transformers import TorchAoConfig as TextTorchAoConfig

    made = {"int8": ao.Int8WeightOnlyConfig, "fp8": ao.Float8WeightOnlyConfig}[quantize]()
    parts = {"transformer": TorchAoConfig(made), "text_encoder_2": TextTorchAoConfig(made)}
    config = PipelineQuantizationConfig(quant_mapping=parts)
    pipe = FluxPipeline.from_pretrained(tiny_flux_folder, dtype=BFLOAT, quantization_config=config)
    latents, expected = asked(pipe)
    folder = read_folder(tiny_flux_folder, "tiny")
    quantised, plain = (
        velocity(FluxBackbone.from_folder(folder, Placement(torch.device("cpu"), BFLOAT, quantize=held)), latents)
        for held in (quantize, "none")
    )
    assert torch.equal(quantised, expected.float())
    assert not torch.equal(quantised, plain), "nothing was quantised"


def test_in_four_bits() -> None:
    """diffusers replaces the layers and bitsandbytes quantises them; a whole load in four bits wants a GPU."""
    library = pytest.importorskip("bitsandbytes").nn
    from diffusers import BitsAndBytesConfig
    from diffusers.quantizers.bitsandbytes.utils import replace_with_bnb_linear

    theirs, ours = (tiny_flux.pipeline().to(BFLOAT) for _ in range(2))
    weights = dict(theirs.transformer.named_parameters())
    held = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=BFLOAT)
    network = replace_with_bnb_linear(theirs.transformer, modules_to_not_convert=[], quantization_config=held)
    for name, layer in network.named_modules():
        if isinstance(layer, library.Linear4bit):
            layer.weight = library.Params4bit(weights[f"{name}.weight"].data, quant_type="nf4", module=layer)
            layer.bias = weights.get(f"{name}.bias")
    theirs.transformer = network.to("cpu").requires_grad_(False)
    latents, expected = asked(theirs)
    parts = dict(ours.components)
    quantized_in_place(parts["transformer"], CPU)
    prompts = PromptEncoder(
        t5=parts["text_encoder_2"],
        t5_tokenizer=parts["tokenizer_2"],
        clip=parts["text_encoder"],
        clip_tokenizer=parts["tokenizer"],
        placement=CPU,
    )
    backbone = FluxBackbone(parts["transformer"], vae=parts["vae"], prompts=prompts, placement=CPU)
    assert torch.equal(velocity(backbone, latents), expected.float())
