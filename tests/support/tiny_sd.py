"""A Stable Diffusion pipeline folder with the real classes and a tokenizer, random weights and few numbers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from tests.support import tiny_flux
from tests.support.closeness import unet_operations
from undrift.backbones.base import ModelIdentity
from undrift.backbones.clip_prompts import ClipPrompts
from undrift.backbones.pipeline import Knowledge
from undrift.backbones.placement import Placement
from undrift.backbones.sd1 import StableDiffusionBackbone

TEXT_TOKENS = 16
LATENT_CHANNELS = 4
WIDTHS = (16, 32)
TEXT_WIDTH = 16
LEVELS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
OPERATIONS = unet_operations(WIDTHS, resnets=8, transformers=4, tokens=64)
"""Roundings of one evaluation of the UNet (see ``closeness.rounding``)."""


def unet() -> Any:
    """A UNet of two resolutions that attends at both: 7 transformer blocks but for one on the way down."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=2,
        norm_num_groups=8,
    )


def text_encoder(vocabulary: int) -> Any:
    """CLIP with one layer."""
    from transformers import CLIPTextModel

    config = tiny_flux.clip_config(vocabulary, hidden_size=TEXT_WIDTH, max_position_embeddings=TEXT_TOKENS)
    return CLIPTextModel(config)


def pipeline(**scheduler: Any) -> Any:
    """diffusers' own pipeline over the tiny parts; the same weights every time."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = tiny_flux.clip_tokenizer()
        tokenizer.model_max_length = TEXT_TOKENS
        settings: dict[str, Any] = {**LEVELS, "clip_sample": False, "steps_offset": 1, **scheduler}
        return StableDiffusionPipeline(
            vae=tiny_flux.vae().eval(),
            text_encoder=text_encoder(len(tokenizer)).eval(),
            tokenizer=tokenizer,
            unet=unet().eval(),
            scheduler=DDIMScheduler(**settings),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )


def backbone_of(pipe: Any) -> StableDiffusionBackbone:
    """The parts of a pipeline as a backbone, on the CPU in float32."""
    placement = Placement(torch.device("cpu"), torch.float32)
    prompts = ClipPrompts(pipe.text_encoder, pipe.tokenizer, placement)
    return StableDiffusionBackbone(
        pipe.unet,
        vae=pipe.vae,
        prompts=prompts,
        scheduler=pipe.scheduler.config,
        placement=placement,
        known=Knowledge(ModelIdentity("tiny-sd", "00c0ffee", placement.dtype_name, str(placement.device))),
    )


@cache
def tiny_sd() -> StableDiffusionBackbone:
    """The model that tests share; it has a name of its own, without which no session takes its latents."""
    made = backbone_of(pipeline())
    made.identity = replace(made.identity, name="tiny-sd", weights_hash="tiny-weights")
    return made


def save_tiny_sd(folder: Path, **scheduler: Any) -> Path:
    """Write the tiny pipeline as ``StableDiffusionPipeline.save_pretrained`` does and return ``folder``."""
    pipeline(**scheduler).save_pretrained(folder, safe_serialization=True)
    return folder
