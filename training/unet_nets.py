"""The networks of the tiny Stable Diffusion, all of the real classes: UNet, text encoder and tokenizer."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training import text, vae

CHANNELS = (32, 64, 128)
"""At 16 x 16, 8 x 8 and 4 x 4 latent pixels."""
TEXT_WIDTH = 96
GROUPS = 8
ALIGN_WIDTH = CHANNELS[1]
"""Channels of the features that the oracle head hears."""


class UNetNets(nn.Module):
    """UNet and text encoder with the tokenizer that goes with them."""

    def __init__(self) -> None:
        super().__init__()
        self.clip_tokenizer: CLIPTokenizer = text.build_clip_tokenizer()
        self.clip = build_text_encoder(self.clip_tokenizer)
        self.unet = build_unet()
        self.unet.to(memory_format=torch.channels_last)
        levels = scheduler().alphas_cumprod.double()
        self.register_buffer("alphas_cumprod", levels.float(), persistent=False)

    def compile_blocks(self) -> None:
        """Compile resnets and transformers one by one, so that hooks on what holds them stay outside."""
        for part in self.unet.modules():
            if type(part).__name__ in ("ResnetBlock2D", "Transformer2DModel"):
                part.forward = torch.compile(part.forward, dynamic=False)

    def forward(self, x: Tensor, timestep: Tensor, clip_ids: Tensor) -> Tensor:
        """The noise that `StableDiffusionPipeline` would predict.

        Args:
            x: sqrt(abar) x0 + sqrt(1 - abar) e, (batch, 8, 16, 16).
            timestep: 0 to 999, (batch,).
            clip_ids: (batch, 24).

        Returns:
            The noise e, (batch, 8, 16, 16).
        """
        texts = self.clip(clip_ids.long()).last_hidden_state
        noise: Tensor = self.unet(x, timestep, encoder_hidden_states=texts, return_dict=False)[0]
        return noise


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained CLIP text encoder; Stable Diffusion attends to all of its last layer."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=3,
            max_position_embeddings=text.CLIP_LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_unet() -> UNet2DConditionModel:
    """An untrained UNet that predicts its own input.

    Attention at 8 x 8 and in the middle alone: at 16 x 16 it would take a third of the time.
    """
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=vae.LATENT_CHANNELS,
        out_channels=vae.LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=CHANNELS,
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        # diffusers' historical name: this is the number of heads of every level.
        attention_head_dim=(2, 3, 4),
        norm_num_groups=GROUPS,
    )
    predict_input(unet)
    return unet


@torch.no_grad()
def predict_input(unet: Any) -> None:
    """Start as e = x, which is right where x is nearly all noise.

    The first skip connection leads from the first convolution straight to the last block's shortcut; there the input
    and its negative pass the last activation, since silu(a) - silu(-a) = a.
    """
    channels, wide = unet.config.in_channels, CHANNELS[0]
    _identity(unet.conv_in.weight, range(channels), range(channels))
    last = unet.up_blocks[-1].resnets[-1]
    skip = range(last.conv_shortcut.in_channels - wide, last.conv_shortcut.in_channels - wide + channels)
    _identity(last.conv_shortcut.weight, range(channels), skip)
    _identity(last.conv_shortcut.weight, range(channels, 2 * channels), skip, -1.0)
    for layer in (unet.conv_in.bias, last.conv_shortcut.bias, unet.conv_out.bias):
        layer[: 2 * channels] = 0
    nn.init.zeros_(last.conv2.weight[: 2 * channels])
    nn.init.zeros_(last.conv2.bias)
    nn.init.zeros_(unet.conv_out.weight)
    _identity(unet.conv_out.weight, range(channels), range(channels))
    _identity(unet.conv_out.weight, range(channels), range(channels, 2 * channels), -1.0, clear=False)


def _identity(weight: Tensor, outputs: range, inputs: range, value: float = 1.0, clear: bool = True) -> None:
    middle = weight.shape[-1] // 2
    if clear:
        weight[list(outputs)] = 0
    for out, into in zip(outputs, inputs, strict=True):
        weight[out, into, middle, middle] = value


def scheduler() -> DDIMScheduler:
    """Stable Diffusion 1's schedule."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=0,
    )
