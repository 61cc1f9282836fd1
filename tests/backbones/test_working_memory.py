"""What computing takes on top of the weights, as it is reckoned, against what networks of published size hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.alive import most_alive
from tests.support.slow_cases import slow_but_for
from undrift.backbones.folder import read_folder
from undrift.backbones.needs import working_bytes

VAE = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
}


def flux() -> Any:
    """FLUX.1's width; what is alive at once does not grow with the number of blocks."""
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(guidance_embeds=True, num_layers=1, num_single_layers=1)


def flux_inputs(side: int) -> Mapping[str, torch.Tensor]:
    tokens = (side // 16) ** 2
    return {
        "hidden_states": torch.randn(1, tokens, 64),
        "timestep": torch.ones(1),
        "guidance": torch.ones(1),
        "encoder_hidden_states": torch.randn(1, 512, 4096),
        "pooled_projections": torch.randn(1, 768),
        "txt_ids": torch.zeros(512, 3),
        "img_ids": torch.zeros(tokens, 3),
    }


def unet() -> Any:
    """Stable Diffusion 1.5's."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(sample_size=64, cross_attention_dim=768)


def unet_inputs(side: int) -> Mapping[str, torch.Tensor]:
    latent = torch.randn(1, 4, side // 8, side // 8)
    return {"sample": latent, "timestep": torch.ones(1), "encoder_hidden_states": torch.randn(1, 77, 768)}


def decoder() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(**VAE).decoder


def decoder_inputs(side: int) -> Mapping[str, torch.Tensor]:
    return {"sample": torch.randn(1, 4, side // 8, side // 8)}


def folder(path: Path, network: str, config: Mapping[str, Any], vae_channels: int) -> Path:
    """A pipeline of two configurations."""
    parts = {network: config, "vae": {"block_out_channels": [vae_channels]}}
    for name, held in parts.items():
        (path / name).mkdir()
        (path / name / "config.json").write_text(json.dumps(held))
    index = {"_class_name": "some", **{name: ["diffusers", "some"] for name in parts}}
    (path / "model_index.json").write_text(json.dumps(index))
    return path


@pytest.mark.parametrize("side", slow_but_for({512}, [512, 1024]))
@pytest.mark.parametrize(
    ("make", "inputs", "network", "config", "vae_channels"),
    [
        (flux, flux_inputs, "transformer", {"num_attention_heads": 24, "attention_head_dim": 128}, 1),
        pytest.param(
            *(unet, unet_inputs, "unet", {"block_out_channels": [320, 640, 1280, 1280]}, 1), marks=pytest.mark.slow
        ),
        (decoder, decoder_inputs, "unet", {"block_out_channels": [1]}, 128),
    ],
    ids=["FLUX.1", "Stable Diffusion 1.5", "VAE"],
)
def test_twice_what_is_alive_at_once_is_reckoned(
    tmp_path: Path,
    make: Callable[[], Any],
    inputs: Callable[[int], Mapping[str, torch.Tensor]],
    network: str,
    config: Mapping[str, Any],
    vae_channels: int,
    side: int,
) -> None:
    held = most_alive(make, lambda: inputs(side), torch.bfloat16)
    read = read_folder(folder(tmp_path, network, config, vae_channels), "published")
    reckoned = working_bytes(read, (side, side), torch.bfloat16)
    assert 1.9 * held < reckoned < 2.4 * held
