"""Pipelines of published size without their weights: real configurations, real headers, and files full of holes."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

NAMES = {torch.bfloat16: "BF16", torch.float32: "F32"}


def flux_dev(folder: Path) -> Path:
    """FLUX.1-dev as it is published, in bfloat16: 33.7 GB that take no room on the disk."""
    from diffusers import AutoencoderKL, FluxTransformer2DModel
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    clip = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    t5 = T5Config(
        vocab_size=32128,
        d_model=4096,
        d_kv=64,
        d_ff=10240,
        num_layers=24,
        num_heads=64,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        parts = {
            "transformer": FluxTransformer2DModel(guidance_embeds=True),
            "text_encoder": CLIPTextModel(clip),
            "text_encoder_2": T5EncoderModel(t5),
            "vae": AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(128, 256, 512, 512),
                layers_per_block=2,
                latent_channels=16,
            ),
        }
    index = {"_class_name": "FluxPipeline"}
    for name, part in parts.items():
        library = "diffusers" if name in ("transformer", "vae") else "transformers"
        index[name] = [library, type(part).__name__]  # type: ignore[assignment]
        (folder / name).mkdir(parents=True)
        if library == "diffusers":
            part.save_config(folder / name)
        else:
            part.config.save_pretrained(folder / name)
        file = "diffusion_pytorch_model" if library == "diffusers" else "model"
        hollow(folder / name / f"{file}.safetensors", dict(part.named_parameters()))
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def hollow(file: Path, tensors: Mapping[str, Any], dtype: torch.dtype = torch.bfloat16) -> None:
    """A safetensors file of tensors with these shapes, its header written and its content a hole."""
    header, end = {}, 0
    for name, tensor in tensors.items():
        length = tensor.numel() * dtype.itemsize
        header[name] = {"dtype": NAMES[dtype], "shape": list(tensor.shape), "data_offsets": [end, end + length]}
        end += length
    raw = json.dumps(header).encode()
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(raw)) + raw)
        stream.truncate(8 + len(raw) + end)
