"""Stable Diffusion 1 and 2 over diffusers' own classes: a diffusion UNet as the velocity field of a straight path."""

from __future__ import annotations

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
from undrift.backbones.bare import bare_identity
from undrift.backbones.base import Backbone, Conditioning, Geometry, Latent, ModelIdentity, NetworkInputs
from undrift.backbones.clip_prompts import ClipPrompts
from undrift.backbones.components import load_model, load_tokenizer
from undrift.backbones.folder import ModelFolder
from undrift.backbones.geometry import pack, unpack
from undrift.backbones.noise_levels import NoiseLevels, variance_preserving
from undrift.backbones.pictures import common_geometry, to_images, to_tensor
from undrift.backbones.placement import Placement
from undrift.backbones.processors import installed
from undrift.backbones.unet_architecture import UNetArchitecture
from undrift.backbones.unet_attention import UNetProcessor, attention_layers, text_first
from undrift.errors import ModelError

PREDICTIONS = ("epsilon", "v_prediction")
TEXT_TOKENS = 77


class StableDiffusionBackbone(Backbone):
    """A UNet of Stable Diffusion 1 or 2 with its VAE and text encoder; see ``noise_levels`` for the mathematics.

    Args:
        unet: diffusers' ``UNet2DConditionModel``.
        vae: ``AutoencoderKL``; without it pictures can be neither encoded nor decoded.
        prompts: embeds prompts; without it conditionings must be made by the caller.
        scheduler: the pipeline's scheduler configuration: the noise levels, and what the network predicts.
        placement: device, dtype and offloading; by default where the UNet is.
        identity, vital_sites, vocabulary, notes, tuned: see ``Backbone``; the defaults describe the bare UNet.

    Raises:
        ModelError: a network that predicts something else than the noise or v.
    """

    pipeline_classes: ClassVar[tuple[str, ...]] = ("StableDiffusionPipeline",)

    def __init__(
        self,
        unet: Any,
        *,
        vae: Any = None,
        prompts: ClipPrompts | None = None,
        scheduler: Mapping[str, Any] = MappingProxyType(
            {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
        ),
        placement: Placement | None = None,
        identity: ModelIdentity | None = None,
        vital_sites: Sequence[Site] | None = None,
        vocabulary: Sequence[str] | None = None,
        notes: str = "",
        tuned: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self._unet = unet.eval().requires_grad_(False)
        self._vae = vae if vae is None else vae.eval()
        self._prompts = prompts
        self._placement = placement or Placement(unet.device, unet.dtype)
        self._levels = NoiseLevels.of(scheduler)
        self._predicts = str(scheduler.get("prediction_type", "epsilon"))
        if self._predicts not in PREDICTIONS:
            expected = " or ".join(PREDICTIONS)
            raise ModelError(f"this network's prediction_type is '{self._predicts}', expected {expected}")
        layers = attention_layers(unet)
        self._layers = {site: layer.attn for site, layer in layers.items()}
        for attn in self._layers.values():
            attn.set_processor(text_first)
        self.architecture = UNetArchitecture.of(
            unet.config,
            layers,
            text_tokens=TEXT_TOKENS if prompts is None else prompts.columns,
            vae=vae,
            number_bytes=self._placement.dtype.itemsize,
        )
        self.identity = identity or bare_identity(unet, vae, self._placement)
        self.capabilities = replace(
            self.architecture.capabilities,
            vital_sites=tuple(vital_sites or ()),
            vocabulary=None if vocabulary is None else tuple(vocabulary),
            notes=notes,
        )
        self.tuned = tuned

    @classmethod
    def from_folder(cls, folder: ModelFolder, placement: Placement) -> StableDiffusionBackbone:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
        from transformers import CLIPTextModel

        tokenizer = load_tokenizer(folder, "tokenizer")
        encoder = load_model(folder, "text_encoder", CLIPTextModel, placement)
        unet = load_model(folder, "unet", UNet2DConditionModel, placement)
        vae = load_model(folder, "vae", AutoencoderKL, placement)
        placement.place([encoder, unet, vae])
        return cls(
            unet,
            vae=vae,
            prompts=ClipPrompts(encoder, tokenizer, placement),
            scheduler=folder.config("scheduler"),
            placement=placement,
            identity=ModelIdentity(
                folder.name,
                folder.weights_hash,
                placement.dtype_name,
                str(placement.device),
                placement.quantize,
                vae_hash=folder.vae_hash,
                revision=folder.revision,
            ),
            vital_sites=folder.vital_sites,
            vocabulary=folder.extra.get("vocabulary"),
            notes=folder.extra.get("notes", ""),
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
        vae, side = self._require_vae(), self.architecture.token_side
        common_geometry(images, side)
        geometry = self.geometry(images[0].size)
        pixels = to_tensor(images, geometry, side)
        with self._placement.using(vae):
            mean = vae.encode(self._to_network(pixels)).latent_dist.mode().float()
        latent = (mean - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor
        return Latent(pack(latent, self.architecture.patch), geometry)

    def decode(self, latent: Latent) -> list[Image.Image]:
        vae = self._require_vae()
        grid = unpack(latent.packed.float(), latent.geometry, self.architecture.patch)
        grid = grid / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
        with self._placement.using(vae):
            pixels = vae.decode(self._to_network(grid)).sample
        return to_images(pixels, latent.geometry)

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        if self._prompts is None:
            raise ModelError("this model was built without text encoders: load a full pipeline to embed prompts")
        return self._prompts.embed(prompts)

    def sigmas(self, steps: int, geometry: Geometry) -> Tensor:
        """DDIM's grid; it begins at the noisiest timestep that DDIM visits, a little below 1."""
        return self._levels.sampling(steps)

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        return {"text": self._to_network(conditioning.tensors["text"]), "geometry": geometry}

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        scale = variance_preserving(sigma)
        z = scale * unpack(x, inputs["geometry"], self.architecture.patch)
        with self._placement.using(self._unet):
            time = torch.full((x.shape[0],), self._levels.timestep(sigma), device=self._placement.device)
            text = inputs["text"]
            made = self._unet(self._to_network(z), time, encoder_hidden_states=text, return_dict=False)[0]
        predicted = pack(made.to(x.device, torch.float32, copy=True), self.architecture.patch)
        noise = predicted
        if self._predicts == "v_prediction":
            # z = a x0 + b e and v = a e - b x0 with a^2 + b^2 = 1, hence e = a v + b z.
            noise = scale * ((1.0 - sigma) * predicted + sigma * scale * x)
        # Beyond the noisiest level the network knows, up to pure noise, its velocity stays finite.
        return (noise - x) / (1.0 - min(sigma, self._levels.last))

    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        return installed(self._layers, taps, partial(UNetProcessor, running=self.running))

    def _to_network(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._placement.device, self._placement.dtype)

    def _require_vae(self) -> Any:
        if self._vae is None:
            raise ModelError("this model was built without a VAE: load a full pipeline to encode or decode pictures")
        return self._vae
