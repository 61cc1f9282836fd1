"""Stable Diffusion 1 and 2 over diffusers' own classes: a diffusion UNet as the velocity field of a straight path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Self

from torch import Tensor

from undrift.attention.taps import AttentionTap
from undrift.backbones.autoencoder import Autoencoder
from undrift.backbones.base import Conditioning, Geometry, NetworkInputs
from undrift.backbones.clip_prompts import ClipPrompts
from undrift.backbones.components import load_checkpoint, load_model, load_tokenizer
from undrift.backbones.folder import ModelFolder
from undrift.backbones.geometry import pack, unpack
from undrift.backbones.noise_levels import NoiseLevels, variance_preserving
from undrift.backbones.pipeline import Knowledge, Loaded, PipelineBackbone
from undrift.backbones.placement import Placement
from undrift.backbones.processors import installed
from undrift.backbones.sdxl_prompts import SDXLPrompts
from undrift.backbones.unet_architecture import UNetArchitecture
from undrift.backbones.unet_attention import UNetProcessor, attention_layers, text_first
from undrift.errors import ModelError

PREDICTIONS = ("epsilon", "v_prediction")
TEXT_TOKENS = 77


class StableDiffusionBackbone(PipelineBackbone):
    """A UNet of Stable Diffusion 1 or 2 with its VAE and text encoder; see ``noise_levels`` for the mathematics.

    Args:
        unet: diffusers' ``UNet2DConditionModel``.
        vae: ``AutoencoderKL``; without it pictures can be neither encoded nor decoded.
        prompts: embeds prompts; without it conditionings must be made by the caller.
        scheduler: the pipeline's scheduler configuration: the noise levels, and what the network predicts.
        placement: device, dtype and offloading; by default where the UNet is.
        known: what is known beside the weights.

    Raises:
        ModelError: a network that predicts something else than the noise or v.
    """

    pipeline_classes: ClassVar[tuple[str, ...]] = ("StableDiffusionPipeline",)
    mixes_sigmas: ClassVar[bool] = False
    architecture: UNetArchitecture

    def __init__(
        self,
        unet: Any,
        *,
        vae: Any = None,
        prompts: ClipPrompts | SDXLPrompts | None = None,
        scheduler: Mapping[str, Any] = MappingProxyType(
            {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
        ),
        placement: Placement | None = None,
        known: Knowledge | None = None,
    ) -> None:
        placement = placement or Placement(unet.device, unet.dtype)
        layers = attention_layers(unet)
        architecture = UNetArchitecture.of(
            unet.config,
            layers,
            text_tokens=TEXT_TOKENS if prompts is None else prompts.columns,
            vae=vae,
            number_bytes=placement.dtype.itemsize,
        )
        super().__init__(
            unet.requires_grad_(False),
            layers={site: layer.attn for site, layer in layers.items()},
            architecture=architecture,
            autoencoder=None if vae is None else Autoencoder.kl(vae, placement, architecture.patch),
            prompts=prompts,
            scheduler=scheduler,
            placement=placement,
            known=known or Knowledge(),
        )
        self._levels = NoiseLevels.of(scheduler)
        self._predicts = str(scheduler.get("prediction_type", "epsilon"))
        if self._predicts not in PREDICTIONS:
            expected = " or ".join(PREDICTIONS)
            raise ModelError(f"this network's prediction_type is '{self._predicts}', expected {expected}")
        for attn in self._layers.values():
            attn.set_processor(text_first)

    @classmethod
    def loaded_parts(cls, folder: ModelFolder, placement: Placement) -> dict[str, Any]:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
        from transformers import CLIPTextModel

        tokenizer = load_tokenizer(folder, "tokenizer")
        if folder.file is not None:
            return {**load_checkpoint(folder, placement), "tokenizer": tokenizer}
        return {
            "tokenizer": tokenizer,
            "text_encoder": load_model(folder, "text_encoder", CLIPTextModel, placement),
            "unet": load_model(folder, "unet", UNet2DConditionModel, placement),
            "vae": load_model(folder, "vae", AutoencoderKL, placement),
        }

    @classmethod
    def of_parts(cls, loaded: Loaded) -> Self:
        prompts = ClipPrompts(loaded.parts["text_encoder"], loaded.parts["tokenizer"], loaded.placement)
        return cls(loaded.parts["unet"], prompts=prompts, **loaded.common)

    def sigmas(self, steps: int, geometry: Geometry) -> Tensor:
        """DDIM's grid; it begins at the noisiest timestep that DDIM visits, a little below 1."""
        return self._levels.sampling(steps)

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        return {"text": self._to_network(conditioning.tensors["text"]), "geometry": geometry}

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        scale = variance_preserving(sigma)
        noise = predicted = super().network(scale * x, self._levels.timestep(sigma), inputs)
        if self._predicts == "v_prediction":
            # z = a x0 + b e and v = a e - b x0 with a^2 + b^2 = 1, hence e = a v + b z.
            noise = scale * ((1.0 - sigma) * predicted + sigma * scale * x)
        # Beyond the noisiest level the network knows, up to pure noise, its velocity stays finite.
        return (noise - x) / (1.0 - min(sigma, self._levels.last))

    def _predicted(self, x: Tensor, sigma: Tensor, inputs: NetworkInputs) -> Tensor:
        """The prediction for states of unit variance, at timesteps in place of sigmas."""
        z = unpack(x, inputs["geometry"], self.architecture.patch)
        beside = inputs.get("beside")
        made: Tensor = self._network(
            z, sigma, encoder_hidden_states=inputs["text"], added_cond_kwargs=beside, return_dict=False
        )[0]
        return pack(made, self.architecture.patch)

    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        return installed(self._layers, taps, partial(UNetProcessor, running=self.running))
