"""FLUX.1's checkpoints in one file, as their authors publish them: the same velocity as diffusers' own layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.support import tiny_flux
from undrift.backbones import Backbone, Geometry, from_pipeline, load

GRID = Geometry(height=40, width=24, rows=5, columns=3, token_side=8)

OUTSIDE = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "proj_out": "final_layer.linear",
}
DOUBLE = {
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
}
NORMS = {
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
}
FUSED = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
SINGLE = {"norm.linear": "modulation.lin", "proj_out": "linear2"}
SINGLE_FUSED = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")


def authors_layout(state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The weights under the names of FLUX.1's authors: projections fused, shift before scale. Empties ``state``."""
    for ending in ("weight", "bias"):
        for ours, theirs in OUTSIDE.items():
            yield f"{theirs}.{ending}", state.pop(f"{ours}.{ending}")
        scale, shift = state.pop(f"norm_out.linear.{ending}").chunk(2)
        yield f"final_layer.adaLN_modulation.1.{ending}", torch.cat([shift, scale])
        yield from _block(state, "transformer_blocks.0", "double_blocks.0", ending, DOUBLE, FUSED)
        fused = {"linear1": SINGLE_FUSED}
        yield from _block(state, "single_transformer_blocks.0", "single_blocks.0", ending, SINGLE, fused)
    for ours, theirs in NORMS.items():
        yield f"double_blocks.0.{theirs}.scale", state.pop(f"transformer_blocks.0.{ours}.weight")
    for ours, theirs in (("norm_q", "query_norm"), ("norm_k", "key_norm")):
        yield f"single_blocks.0.norm.{theirs}.scale", state.pop(f"single_transformer_blocks.0.attn.{ours}.weight")
    assert not state, "every tensor has its place"


def _block(
    state: dict[str, Tensor],
    ours: str,
    theirs: str,
    ending: str,
    names: Mapping[str, str],
    fused: Mapping[str, tuple[str, ...]],
) -> Iterator[tuple[str, Tensor]]:
    for mine, other in names.items():
        yield f"{theirs}.{other}.{ending}", state.pop(f"{ours}.{mine}.{ending}")
    for other, parts in fused.items():
        yield f"{theirs}.{other}.{ending}", torch.cat([state.pop(f"{ours}.{part}.{ending}") for part in parts])


def wide_transformer() -> Any:
    """A double and a single block of FLUX.1's own width, for which alone diffusers converts."""
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

    with torch.device("meta"):
        made = FluxTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            joint_attention_dim=tiny_flux.TEXT_WIDTH,
            pooled_projection_dim=tiny_flux.POOLED_WIDTH,
            guidance_embeds=True,
        )
    for parameter in made.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    made = made.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.02, generator=generator)
    return made.eval().requires_grad_(False)


def velocity(backbone: Backbone) -> Tensor:
    x = torch.randn(1, GRID.tokens, 16, generator=torch.Generator().manual_seed(6))
    return backbone.velocity_field(backbone.embed(["a red cat on the grass"]), GRID, 2.0)(x, 0.6)


@pytest.mark.slow
def test_a_flux1_checkpoint_has_the_velocity_of_diffusers_layout(tmp_path: Path) -> None:
    pipe = tiny_flux.pipeline()
    pipe.transformer = wide_transformer()
    pipe.register_to_config(transformer=("diffusers", "FluxTransformer2DModel"))
    for name in ("text_encoder", "text_encoder_2", "vae"):
        getattr(pipe, name).to(torch.bfloat16)
    expected = velocity(from_pipeline(pipe, name="wide"))
    file = tmp_path / "flux1-dev.safetensors"
    save_file(dict(authors_layout(pipe.transformer.state_dict())), file)
    folder = tiny_flux.save_tiny_flux(tmp_path / "base")
    next((folder / "transformer").glob("*.safetensors")).unlink()
    pipe.transformer.save_config(folder / "transformer")
    del pipe
    assert torch.equal(velocity(load(str(folder), device="cpu", dtype="bf16", transformer=file)), expected)
