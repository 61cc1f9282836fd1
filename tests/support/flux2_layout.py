"""FLUX.2's transformer as its authors publish it."""

from __future__ import annotations

import torch
from torch import Tensor


def authors_layout(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in diffusers' layout in theirs: fused projections, other names, shift before scale."""
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
