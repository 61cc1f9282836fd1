"""Stable Diffusion's and XL's weights under the names of their authors' own checkpoints, all parts in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
MIDDLE = {"resnets.0": 0, "attentions.0": 1, "resnets.1": 2}


def save_checkpoint(file: Path, pipe: Any, parts: tuple[str, ...] = ("unet", "vae", "text_encoder")) -> Path:
    """Write ``parts`` of a ``StableDiffusionPipeline`` into one file, and return it."""
    state: dict[str, Tensor] = {}
    if "unet" in parts:
        layers = pipe.unet.config.layers_per_block
        for key, tensor in pipe.unet.state_dict().items():
            state[f"model.diffusion_model.{unet_name(key, layers)}"] = tensor
    if "vae" in parts:
        blocks = len(pipe.vae.config.block_out_channels)
        for key, tensor in pipe.vae.state_dict().items():
            state[f"first_stage_model.{vae_name(key, blocks)}"] = tensor
    if "text_encoder" in parts:
        for key, tensor in pipe.text_encoder.state_dict().items():
            state[f"cond_stage_model.transformer.text_model.{key.removeprefix('text_model.')}"] = tensor
    return _saved(file, state)


def save_xl_checkpoint(file: Path, pipe: Any) -> Path:
    """Write all parts of a ``StableDiffusionXLPipeline`` into one file, and return it."""
    save_checkpoint(file, pipe, ("unet", "vae"))
    state = dict(load_file(file))
    for key, tensor in pipe.text_encoder.state_dict().items():
        name = key.removeprefix("text_model.")
        state[f"conditioner.embedders.0.transformer.text_model.{name}"] = tensor
    for key, tensor in open_clip(pipe.text_encoder_2.state_dict()).items():
        state[f"conditioner.embedders.1.model.{key}"] = tensor
    return _saved(file, state)


def open_clip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A text encoder as OpenCLIP has it: query, key and value in one matrix, the projection turned round."""
    made: dict[str, Tensor] = {}
    inputs: dict[str, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        name = key.removeprefix("text_model.")
        layer, _, inside = name.removeprefix("encoder.layers.").partition(".")
        part, _, kind = inside.rpartition(".")
        if name == "text_projection.weight":
            made["text_projection"] = tensor.T
        elif name.startswith("embeddings."):
            known = {
                "token_embedding.weight": "token_embedding.weight",
                "position_embedding.weight": "positional_embedding",
            }
            made[known[name.removeprefix("embeddings.")]] = tensor
        elif name.startswith("final_layer_norm."):
            made[f"ln_final.{name.rpartition('.')[2]}"] = tensor
        elif part in OPEN_CLIP:
            made[f"transformer.resblocks.{layer}.{OPEN_CLIP[part]}.{kind}"] = tensor
        else:
            inputs.setdefault(f"transformer.resblocks.{layer}.attn.in_proj_{kind}", {})[part[-6]] = tensor
    return {**made, **{name: torch.cat([parts[letter] for letter in "qkv"]) for name, parts in inputs.items()}}


def _saved(file: Path, state: dict[str, Tensor]) -> Path:
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, file)
    return file


def unet_name(key: str, layers: int) -> str:
    """A tensor of the UNet: its blocks of one resolution are counted through, samplers included."""
    name, _, kind = key.rpartition(".")
    if name in UNET:
        return f"{UNET[name]}.{kind}"
    side, _, rest = key.partition(".")
    if side == "mid_block":
        what, number, inside = rest.split(".", 2)
        return f"middle_block.{MIDDLE[f'{what}.{number}']}.{_inside(what, inside)}"
    level, what, number, inside = rest.split(".", 3)
    down = side == "down_blocks"
    at = int(level) * (layers + 1) + (layers if what.endswith("samplers") else int(number)) + (1 if down else 0)
    if what == "downsamplers":
        return f"input_blocks.{at}.0.op.{inside.removeprefix('conv.')}"
    if what == "upsamplers":
        return f"output_blocks.{at}.2.{inside}"
    place = 0 if what == "resnets" else 1
    return f"{'input' if down else 'output'}_blocks.{at}.{place}.{_inside(what, inside)}"


def _inside(what: str, name: str) -> str:
    if what != "resnets":
        return name
    layer, _, kind = name.rpartition(".")
    return f"{RESNET[layer]}.{kind}"


def vae_name(key: str, blocks: int) -> str:
    """A tensor of the VAE, whose decoder counts its resolutions from the finest."""
    key = key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    for number in (0, 1):
        key = key.replace(f"mid_block.resnets.{number}", f"mid.block_{number + 1}")
    for level in range(blocks):
        for side, there, sampler in (("down", level, "downsample"), ("up", blocks - 1 - level, "upsample")):
            key = key.replace(f"{side}_blocks.{level}.resnets.", f"{side}.{there}.block.")
            key = key.replace(f"{side}_blocks.{level}.{sampler}rs.0.", f"{side}.{there}.{sampler}.")
    return key
