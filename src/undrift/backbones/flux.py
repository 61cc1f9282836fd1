"""FLUX.1 over diffusers' own classes: dev, schnell, LittleWorld and every model of their architecture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.backbones.base import Backbone, Conditioning, Geometry, Latent, ModelIdentity, NetworkInputs
from undrift.backbones.components import load_model, load_tokenizer
from undrift.backbones.flux_architecture import TEXT_TOKENS, FluxArchitecture, token_side_of
from undrift.backbones.flux_attention import FluxProcessor, attention_layers
from undrift.backbones.folder import ModelFolder
from undrift.backbones.geometry import image_ids, pack, text_ids, unpack
from undrift.backbones.pictures import common_geometry, to_images, to_tensor
from undrift.backbones.placement import Placement
from undrift.backbones.processors import installed
from undrift.backbones.prompts import PromptEncoder
from undrift.errors import ModelError
from undrift.flow import ResolutionShift, linear_sigmas, shift_sigmas, shifted_sigmas

FLUX_BLOCKS = (19, 38)
VITAL_SITES = (
    *(Site("double", i) for i in (0, 1, 17, 18)),
    *(Site("single", i) for i in (6, 9, 34, 35, 37)),
)
"""Vital layers of FLUX.1-dev (Stable Flow, arXiv 2411.14430)."""

DEV_LICENCE = "FLUX.1-dev weights have their own, non-commercial licence"

TILING_ABOVE = 2048
"""Sides above which the VAE works in tiles on a GPU, in pixels."""


class FluxBackbone(Backbone):
    """A FLUX transformer with its VAE and text encoders.

    Args:
        transformer: diffusers' ``FluxTransformer2DModel``.
        vae: ``AutoencoderKL``; without it pictures can be neither encoded nor decoded.
        prompts: embeds prompts; without it conditionings must be made by the caller.
        scheduler: the pipeline's scheduler configuration, which shifts the schedule; by default as FLUX.1-dev.
        placement: device, dtype and offloading; by default where the transformer is.
        identity, vital_sites, vocabulary, notes, tuned: see ``Backbone``; the defaults describe the bare transformer.
    """

    pipeline_classes: ClassVar[tuple[str, ...]] = ("FluxPipeline",)

    def __init__(
        self,
        transformer: Any,
        *,
        vae: Any = None,
        prompts: PromptEncoder | None = None,
        scheduler: Mapping[str, Any] = MappingProxyType({"use_dynamic_shifting": True}),
        placement: Placement | None = None,
        identity: ModelIdentity | None = None,
        vital_sites: Sequence[Site] | None = None,
        vocabulary: Sequence[str] | None = None,
        notes: str = "",
        tuned: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self._transformer = transformer.eval()
        self._vae = vae if vae is None else vae.eval()
        self._prompts = prompts
        self._scheduler = scheduler
        self._placement = placement or Placement(transformer.device, transformer.dtype)
        self._layers = attention_layers(transformer)
        self.identity = identity or self._bare_identity()
        self.architecture = FluxArchitecture.of(
            transformer.config,
            text_tokens=TEXT_TOKENS if prompts is None else prompts.limit,
            token_side=token_side_of(vae),
            number_bytes=self._placement.dtype.itemsize,
        )
        self.capabilities = replace(
            self.architecture.capabilities,
            vital_sites=tuple(vital_sites) if vital_sites is not None else self._known_vital_sites(),
            vocabulary=None if vocabulary is None else tuple(vocabulary),
            notes=notes,
        )
        self.tuned = tuned

    @classmethod
    def from_folder(cls, folder: ModelFolder, placement: Placement) -> FluxBackbone:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
        from transformers import CLIPTextModel, T5EncoderModel

        clip_tokenizer, t5_tokenizer = load_tokenizer(folder, "tokenizer"), load_tokenizer(folder, "tokenizer_2")
        clip = load_model(folder, "text_encoder", CLIPTextModel, placement)
        t5 = load_model(folder, "text_encoder_2", T5EncoderModel, placement, quantized=True)
        transformer = load_model(folder, "transformer", FluxTransformer2DModel, placement, quantized=True)
        vae = load_model(folder, "vae", AutoencoderKL, placement)
        placement.place([clip, t5, transformer, vae])
        return cls(
            transformer,
            vae=vae,
            prompts=PromptEncoder(
                t5=t5, t5_tokenizer=t5_tokenizer, clip=clip, clip_tokenizer=clip_tokenizer, placement=placement
            ),
            scheduler=folder.config("scheduler"),
            placement=placement,
            identity=ModelIdentity(
                folder.name, folder.weights_hash, placement.dtype_name, str(placement.device), placement.quantize
            ),
            vital_sites=folder.vital_sites,
            vocabulary=folder.extra.get("vocabulary"),
            notes=folder.extra.get("notes", DEV_LICENCE if folder.name.endswith("FLUX.1-dev") else ""),
            tuned=folder.extra.get("tuned", {}),
        )

    @property
    def sites(self) -> tuple[Site, ...]:
        return tuple(self._layers)

    def geometry(self, size: tuple[int, int]) -> Geometry:
        return self.architecture.geometry(size)

    def feature_bytes(self, site: Site, geometry: Geometry) -> int:
        return self.architecture.feature_bytes(site, geometry)

    def state_bytes(self, geometry: Geometry) -> int:
        return self.architecture.state_bytes(geometry)

    def encode(self, images: Sequence[Image.Image]) -> Latent:
        vae = self._require_vae()
        geometry = common_geometry(images, self.architecture.token_side)
        pixels = to_tensor(images, geometry, self.architecture.token_side)
        self._set_tiling(vae, geometry)
        with self._placement.using(vae):
            mean = vae.encode(self._to_network(pixels)).latent_dist.mode().float()
        return Latent(pack((mean - self._shift) * self._scale), geometry)

    def decode(self, latent: Latent) -> list[Image.Image]:
        vae = self._require_vae()
        grid = unpack(latent.packed.float(), latent.geometry) / self._scale + self._shift
        self._set_tiling(vae, latent.geometry)
        with self._placement.using(vae):
            pixels = vae.decode(self._to_network(grid)).sample
        return to_images(pixels, latent.geometry)

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        if self._prompts is None:
            raise ModelError("this model was built without text encoders: load a full pipeline to embed prompts")
        return self._prompts.embed(prompts)

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
        return shifted_sigmas(steps, geometry.tokens, shift)

    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        return installed(self._layers, taps, partial(FluxProcessor, running=self.running))

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        self.running.text_tokens = inputs["txt_ids"].shape[0]
        with self._placement.using(self._transformer):
            # The transformer multiplies the time by 1000 itself.
            time = torch.full((x.shape[0],), sigma, dtype=torch.float32, device=self._placement.device)
            velocity: Tensor = self._transformer(self._to_network(x), timestep=time, return_dict=False, **inputs)[0]
        # A copy outside of inference mode is an ordinary tensor, which callers may change in place.
        return velocity.to(x.device, torch.float32, copy=True)

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        device = self._placement.device
        guided = {"guidance": torch.tensor(guidance, dtype=torch.float32, device=device)}
        return {
            "encoder_hidden_states": self._to_network(conditioning.tensors["text"]),
            "pooled_projections": self._to_network(conditioning.tensors["pooled"]),
            "img_ids": image_ids(geometry).to(device),
            "txt_ids": text_ids(conditioning.text_tokens).to(device),
            **(guided if self.capabilities.guidance == "embedded" else {}),
        }

    def _to_network(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._placement.device, self._placement.dtype)

    @property
    def _scale(self) -> float:
        return float(self._require_vae().config.scaling_factor)

    @property
    def _shift(self) -> float:
        return float(self._require_vae().config.shift_factor or 0.0)

    def _require_vae(self) -> Any:
        if self._vae is None:
            raise ModelError("this model was built without a VAE: load a full pipeline to encode or decode pictures")
        return self._vae

    def _set_tiling(self, vae: Any, geometry: Geometry) -> None:
        large = max(geometry.height, geometry.width) > TILING_ABOVE
        vae.use_tiling = large and self._placement.device.type != "cpu"

    def _bare_identity(self) -> ModelIdentity:
        return ModelIdentity("bare", "", self._placement.dtype_name, str(self._placement.device))

    def _known_vital_sites(self) -> tuple[Site, ...]:
        config = self._transformer.config
        return VITAL_SITES if (config.num_layers, config.num_single_layers) == FLUX_BLOCKS else ()
