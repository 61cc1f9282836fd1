"""A Stable Diffusion XL pipeline with the real classes, its shape, random weights and few numbers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from tests.support import tiny_flux
from tests.support.closeness import unet_operations
from tests.support.tiny_sd import LATENT_CHANNELS, LEVELS, TEXT_TOKENS, TEXT_WIDTH, text_encoder
from undrift.backbones import from_pipeline
from undrift.backbones.sdxl import StableDiffusionXLBackbone

WIDTHS = (16, 16, 32)
SECOND_WIDTH, POOLED, TIME = 24, 20, 8
OPERATIONS = unet_operations(WIDTHS, resnets=14, transformers=14, tokens=64)
"""Roundings of one evaluation of the UNet (see ``closeness.rounding``)."""


def unet() -> Any:
    """XL's shape: no attention at the finest resolution, several transformer blocks to each layer further down."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        transformer_layers_per_block=(1, 2, 3),
        cross_attention_dim=TEXT_WIDTH + SECOND_WIDTH,
        attention_head_dim=(2, 2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME,
        projection_class_embeddings_input_dim=6 * TIME + POOLED,
        norm_num_groups=8,
    )


def second_encoder(vocabulary: int) -> Any:
    """CLIP with a projection of what is pooled."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=SECOND_WIDTH,  # by their widths diffusers tells the encoders in one file apart
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TEXT_TOKENS,
        projection_dim=POOLED,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return CLIPTextModelWithProjection(config)


def pipeline(*, zeros: bool = True) -> Any:
    """diffusers' own pipeline over the tiny parts; the same weights every time."""
    from diffusers import DDIMScheduler, StableDiffusionXLPipeline

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizers = [tiny_flux.clip_tokenizer() for _ in range(2)]
        for tokenizer in tokenizers:
            tokenizer.model_max_length = TEXT_TOKENS
        # The published second tokenizer pads with another token than the first.
        tokenizers[1].pad_token = "<|startoftext|>"
        return StableDiffusionXLPipeline(
            vae=tiny_flux.vae().eval(),
            text_encoder=text_encoder(len(tokenizers[0])).eval(),
            text_encoder_2=second_encoder(len(tokenizers[1])).eval(),
            tokenizer=tokenizers[0],
            tokenizer_2=tokenizers[1],
            unet=unet().eval(),
            scheduler=DDIMScheduler(**LEVELS, clip_sample=False, set_alpha_to_one=True, steps_offset=0),
            force_zeros_for_empty_prompt=zeros,
            add_watermarker=False,
        )


@cache
def tiny_sdxl() -> StableDiffusionXLBackbone:
    """The model that tests share."""
    made = from_pipeline(pipeline(), name="tiny-sdxl")
    assert isinstance(made, StableDiffusionXLBackbone)
    made.identity = replace(made.identity, weights_hash="tiny-xl-weights")
    return made


def save_tiny_sdxl(folder: Path) -> Path:
    """Write the tiny pipeline as ``save_pretrained`` does and return ``folder``."""
    pipeline().save_pretrained(folder, safe_serialization=True)
    return folder
