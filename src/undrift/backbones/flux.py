"""FLUX.1 over diffusers' own classes: dev, schnell, LittleWorld and every model of their architecture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.backbones.autoencoder import Autoencoder
from undrift.backbones.base import Conditioning, Geometry, NetworkInputs
from undrift.backbones.components import load_model, load_tokenizer
from undrift.backbones.flux_architecture import TEXT_TOKENS, TOKEN_SIDE, FluxArchitecture
from undrift.backbones.flux_attention import FluxProcessor, attention_layers
from undrift.backbones.folder import ModelFolder
from undrift.backbones.geometry import image_ids, text_ids
from undrift.backbones.pipeline import Knowledge, Loaded, PipelineBackbone
from undrift.backbones.placement import Placement
from undrift.backbones.processors import installed
from undrift.backbones.prompts import PromptEncoder
from undrift.flow import ResolutionShift, linear_sigmas, shift_sigmas

FLUX_BLOCKS = (19, 38)
VITAL_SITES = (
    *(Site("double", i) for i in (0, 1, 17, 18)),
    *(Site("single", i) for i in (6, 9, 34, 35, 37)),
)
"""Vital layers of FLUX.1-dev (Stable Flow, arXiv 2411.14430)."""

DEV_LICENCE = "FLUX.1-dev weights have their own, non-commercial licence"


class FluxBackbone(PipelineBackbone):
    """A FLUX transformer with its VAE and text encoders.

    Args:
        transformer: diffusers' ``FluxTransformer2DModel``.
        vae: ``AutoencoderKL``; without it pictures can be neither encoded nor decoded.
        prompts: embeds prompts; without it conditionings must be made by the caller.
        scheduler: the pipeline's scheduler configuration, which shifts the schedule; by default as FLUX.1-dev.
        placement: device, dtype and offloading; by default where the transformer is.
        known: what is known beside the weights; vital layers are known for FLUX.1's full size.
    """

    pipeline_classes: ClassVar[tuple[str, ...]] = ("FluxPipeline",)
    takes_text_tokens: ClassVar[bool] = True

    def __init__(
        self,
        transformer: Any,
        *,
        vae: Any = None,
        prompts: PromptEncoder | None = None,
        scheduler: Mapping[str, Any] = MappingProxyType({"use_dynamic_shifting": True}),
        placement: Placement | None = None,
        known: Knowledge | None = None,
    ) -> None:
        placement = placement or Placement(transformer.device, transformer.dtype)
        autoencoder = None if vae is None else Autoencoder.kl(vae, placement)
        architecture = FluxArchitecture.of(
            transformer.config,
            text_tokens=TEXT_TOKENS if prompts is None else prompts.limit,
            token_side=TOKEN_SIDE if autoencoder is None else autoencoder.token_side,
            number_bytes=placement.dtype.itemsize,
        )
        known = known or Knowledge()
        super().__init__(
            transformer,
            layers=attention_layers(transformer),
            architecture=architecture,
            autoencoder=autoencoder,
            prompts=prompts,
            scheduler=scheduler,
            placement=placement,
            known=known if known.vital_sites is not None else replace(known, vital_sites=_vital_sites(transformer)),
        )

    @classmethod
    def loaded_parts(cls, folder: ModelFolder, placement: Placement) -> dict[str, Any]:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
        from transformers import CLIPTextModel, T5EncoderModel

        return {
            "tokenizer": load_tokenizer(folder, "tokenizer"),
            "tokenizer_2": load_tokenizer(folder, "tokenizer_2"),
            "text_encoder": load_model(folder, "text_encoder", CLIPTextModel, placement),
            "text_encoder_2": load_model(folder, "text_encoder_2", T5EncoderModel, placement),
            "transformer": load_model(folder, "transformer", FluxTransformer2DModel, placement),
            "vae": load_model(folder, "vae", AutoencoderKL, placement),
        }

    @classmethod
    def of_parts(cls, loaded: Loaded) -> Self:
        parts = loaded.parts
        prompts = PromptEncoder(
            t5=parts["text_encoder_2"],
            t5_tokenizer=parts["tokenizer_2"],
            clip=parts["text_encoder"],
            clip_tokenizer=parts["tokenizer"],
            placement=loaded.placement,
            limit=loaded.known.text_tokens,
        )
        return cls(parts["transformer"], prompts=prompts, **loaded.common)

    @classmethod
    def notes(cls, folder: ModelFolder) -> str:
        return DEV_LICENCE if folder.name.endswith("FLUX.1-dev") else ""

    def sigmas(self, steps: int, geometry: Geometry) -> Tensor:
        config = self._scheduler
        if not config.get("use_dynamic_shifting", False):
            return shift_sigmas(linear_sigmas(steps), math.log(config.get("shift", 1.0)))
        flux = ResolutionShift()
        shift = ResolutionShift(
            base_tokens=config.get("base_image_seq_len", flux.base_tokens),
            base_mu=config.get("base_shift", flux.base_mu),
            max_tokens=config.get("max_image_seq_len", flux.max_tokens),
            max_mu=config.get("max_shift", flux.max_mu),
        )
        mu = shift.mu(geometry.tokens)
        if config.get("time_shift_type") == "linear":
            mu = math.log(mu)  # the line is that of the shift itself
        return shift_sigmas(linear_sigmas(steps), mu)

    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        return installed(self._layers, taps, partial(FluxProcessor, running=self.running))

    def _predicted(self, x: Tensor, sigma: Tensor, inputs: NetworkInputs) -> Tensor:
        self.running.text_tokens = inputs["txt_ids"].shape[0]
        # The transformer multiplies the time by 1000 itself.
        velocity: Tensor = self._network(x, timestep=sigma, return_dict=False, **inputs)[0]
        return velocity

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        device = self.placement.device
        guided = {"guidance": torch.tensor(guidance, dtype=torch.float32, device=device)}
        return {
            "encoder_hidden_states": self._to_network(conditioning.tensors["text"]),
            "pooled_projections": self._to_network(conditioning.tensors["pooled"]),
            "img_ids": image_ids(geometry).to(device),
            "txt_ids": text_ids(conditioning.text_tokens).to(device),
            **(guided if self.capabilities.guidance == "embedded" else {}),
        }

    def part_of(self, inputs: NetworkInputs, tokens: Tensor) -> NetworkInputs:
        return {**inputs, "img_ids": inputs["img_ids"][tokens.to(self.placement.device)]}


def _vital_sites(transformer: Any) -> tuple[Site, ...]:
    config = transformer.config
    return VITAL_SITES if (config.num_layers, config.num_single_layers) == FLUX_BLOCKS else ()
