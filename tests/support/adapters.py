"""LoRA adapters for the tiny pipelines."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file


def lora_file(path: Path, kohya: bool = False, seed: int = 0, text: bool = False) -> Path:
    """An adapter for the output projection of the first double block, of the picture's stream.

    Args:
        path: where it is written.
        kohya: whether in kohya's keys, else in diffusers'.
        seed: of its weights.
        text: whether it has a part for CLIP too, which changes nothing.
    """
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
