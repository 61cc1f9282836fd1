"""Stable Diffusion XL (Podell et al. 2023, arXiv 2307.01952): the UNet of Stable Diffusion with more beside it.

Levels, velocity and taps are those of ``sd1``. The network is told the prompt's pooled embedding and the picture's
size as well, and what it reads are two text encoders.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch

from undrift.backbones.base import Conditioning, Geometry, NetworkInputs
from undrift.backbones.components import load_checkpoint, load_model, load_tokenizer
from undrift.backbones.folder import ModelFolder
from undrift.backbones.pipeline import Loaded
from undrift.backbones.placement import Placement
from undrift.backbones.sd1 import StableDiffusionBackbone
from undrift.backbones.sdxl_prompts import SDXLPrompts
from undrift.errors import ModelError


class StableDiffusionXLBackbone(StableDiffusionBackbone):
    """A UNet of Stable Diffusion XL with its VAE and text encoders; see ``StableDiffusionBackbone``."""

    pipeline_classes: ClassVar[tuple[str, ...]] = ("StableDiffusionXLPipeline",)

    @classmethod
    def loaded_parts(cls, folder: ModelFolder, placement: Placement) -> dict[str, Any]:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTextModelWithProjection

        _check_range(folder, placement)
        tokenizers = {part: load_tokenizer(folder, part) for part in ("tokenizer", "tokenizer_2")}
        if folder.file is not None:
            return {**load_checkpoint(folder, placement), **tokenizers}
        return {
            **tokenizers,
            "text_encoder": load_model(folder, "text_encoder", CLIPTextModel, placement),
            "text_encoder_2": load_model(folder, "text_encoder_2", CLIPTextModelWithProjection, placement),
            "unet": load_model(folder, "unet", UNet2DConditionModel, placement),
            "vae": load_model(folder, "vae", AutoencoderKL, placement),
        }

    @classmethod
    def of_parts(cls, loaded: Loaded) -> Self:
        parts, index = loaded.parts, loaded.index
        clips = [(parts[f"text_encoder{end}"], parts[f"tokenizer{end}"]) for end in ("", "_2")]
        zeros = bool(index.get("force_zeros_for_empty_prompt", True))
        prompts = SDXLPrompts(clips, zeros=zeros, placement=loaded.placement)
        return cls(parts["unet"], prompts=prompts, **loaded.common)

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        """The size that the network is told is that of the whole grid, and nothing of it is cut off."""
        made = super().network_inputs(conditioning, geometry, guidance)
        pooled = self._to_network(conditioning.tensors["pooled"])
        size = (geometry.rows * geometry.token_side, geometry.columns * geometry.token_side)
        told = torch.tensor([[*size, 0, 0, *size]]).repeat(len(pooled), 1)
        return {**made, "beside": {"text_embeds": pooled, "time_ids": self._to_network(told)}}


def _check_range(folder: ModelFolder, placement: Placement) -> None:
    if placement.dtype == torch.float16 and folder.part_config("vae").get("force_upcast", True):
        raise ModelError(f"the autoencoder of {folder.name} leaves the range of fp16: use --dtype bf16 or fp32")
