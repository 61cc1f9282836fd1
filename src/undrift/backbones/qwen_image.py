"""Qwen-Image over diffusers' own classes (arXiv 2508.02324).

One kind of block with two streams, text first. Prompts differ in length, padding is masked. The language model reads
the prompt behind a template whose columns are dropped, and the VAE is a video's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.backbones.architecture import TransformerArchitecture
from undrift.backbones.autoencoder import Autoencoder
from undrift.backbones.base import Capabilities, Conditioning, Geometry, NetworkInputs
from undrift.backbones.components import load_model, load_part, load_tokenizer
from undrift.backbones.flux_attention import stock_attention
from undrift.backbones.folder import ModelFolder
from undrift.backbones.geometry import PATCH
from undrift.backbones.joint import joint_projections
from undrift.backbones.pipeline import Knowledge, Loaded, PipelineBackbone
from undrift.backbones.placement import Placement
from undrift.backbones.processors import TappedProcessor, installed
from undrift.backbones.qwen_prompts import QwenPrompts
from undrift.backbones.scheduling import even, resolution_mu, scheduled

MAX_SHIFT = 1.15
"""What the pipeline takes where the scheduler's configuration has no ``max_shift``."""


class QwenImageBackbone(PipelineBackbone):
    """A Qwen-Image transformer with its VAE and text encoder.

    Args:
        transformer: diffusers' ``QwenImageTransformer2DModel``.
        vae: ``AutoencoderKLQwenImage``.
        prompts: embeds prompts.
        scheduler: the pipeline's scheduler configuration.
        placement: device, dtype and offloading; by default where the transformer is.
        known: what is known beside the weights.
    """

    pipeline_classes: ClassVar[tuple[str, ...]] = ("QwenImagePipeline",)

    def __init__(
        self,
        transformer: Any,
        *,
        vae: Any,
        prompts: QwenPrompts,
        scheduler: Mapping[str, Any],
        placement: Placement | None = None,
        known: Knowledge | None = None,
    ) -> None:
        placement = placement or Placement(transformer.device, transformer.dtype)
        autoencoder = video_autoencoder(vae, placement)
        layers = {Site("joint", i): block.attn for i, block in enumerate(transformer.transformer_blocks)}
        config = transformer.config
        super().__init__(
            transformer,
            layers=layers,
            architecture=TransformerArchitecture(
                capabilities=Capabilities(
                    guidance="two_evaluations",
                    map_sites=tuple(layers),
                    text_sites=tuple(layers),
                    sharing_sites=tuple(layers),
                    fixed_text=False,
                ),
                width=config.num_attention_heads * config.attention_head_dim,
                channels=config.in_channels,
                text_tokens=0,
                token_side=autoencoder.token_side,
                number_bytes=placement.dtype.itemsize,
            ),
            autoencoder=autoencoder,
            prompts=prompts,
            scheduler=scheduler,
            placement=placement,
            known=known or Knowledge(),
        )

    @classmethod
    def loaded_parts(cls, folder: ModelFolder, placement: Placement) -> dict[str, Any]:
        from diffusers.models.autoencoders.autoencoder_kl_qwenimage import AutoencoderKLQwenImage
        from diffusers.models.transformers.transformer_qwenimage import QwenImageTransformer2DModel

        return {
            "tokenizer": load_tokenizer(folder, "tokenizer"),
            "text_encoder": load_part(folder, "text_encoder", placement),
            "transformer": load_model(folder, "transformer", QwenImageTransformer2DModel, placement),
            "vae": load_model(folder, "vae", AutoencoderKLQwenImage, placement),
        }

    @classmethod
    def of_parts(cls, loaded: Loaded) -> Self:
        parts = loaded.parts
        prompts = QwenPrompts(encoder=parts["text_encoder"], tokenizer=parts["tokenizer"], placement=loaded.placement)
        return cls(parts["transformer"], prompts=prompts, **loaded.common)

    def sigmas(self, steps: int, geometry: Geometry) -> Tensor:
        mu = resolution_mu(self._scheduler, geometry.tokens, max_shift=MAX_SHIFT)
        return scheduled(self._scheduler, steps, mu=mu, sigmas=even(steps))

    def guided(self, positive: Tensor, negative: Tensor, extra: Tensor) -> Tensor:
        """The usual sum, each token scaled to the length that it has in the positive branch.

        Source: diffusers' ``QwenImagePipeline``, as the authors published it.
        """
        led = super().guided(positive, negative, extra)
        was, now = (torch.linalg.vector_norm(v, dim=-1, keepdim=True) for v in (positive, led))
        return led * torch.where(now > 0, was / now, 1.0)

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        mask = conditioning.mask
        # Without padding diffusers passes no mask, and attention then takes a faster kernel.
        padded = mask is not None and not bool(mask.all())
        return {
            "encoder_hidden_states": self._to_network(conditioning.tensors["text"]),
            "encoder_hidden_states_mask": mask.to(self.placement.device) if padded and mask is not None else None,
            "img_shapes": [[(1, geometry.rows, geometry.columns)]] * conditioning.rows,
        }

    def _predicted(self, x: Tensor, sigma: Tensor, inputs: NetworkInputs) -> Tensor:
        # The transformer multiplies the time by 1000 itself.
        velocity: Tensor = self._network(x, timestep=sigma, return_dict=False, **inputs)[0]
        return velocity

    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        return installed(self._layers, taps, partial(QwenProcessor, running=self.running))


class QwenProcessor(TappedProcessor):
    """The attention of one block with its taps asked on the way; positions are turned per stream, after them."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        encoder_hidden_states_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        if not self.asked:
            given: tuple[Tensor, Tensor] = self.stock(
                attn,
                hidden_states,
                encoder_hidden_states,
                encoder_hidden_states_mask,
                attention_mask,
                image_rotary_emb,
            )
            return given
        made = self.projected(joint_projections(attn, hidden_states, encoder_hidden_states))
        query, key = (_turned(part, made.text_tokens, image_rotary_emb) for part in (made.query, made.key))
        made = replace(made, query=query, key=key)
        mask = _joint_mask(encoder_hidden_states_mask, hidden_states)
        out = self.attended(query, key, made.value, made.text_tokens, mask)
        if out is None:
            out = stock_attention(self.stock, query, key, made.value, mask)
        joined = out.flatten(2, 3).to(query.dtype)
        text, image = joined[:, : made.text_tokens], joined[:, made.text_tokens :]
        projection, dropout = attn.to_out
        return dropout(projection(image.contiguous())), attn.to_add_out(text.contiguous())


def _turned(heads: Tensor, text_tokens: int, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
    if rotary is None:
        return heads
    from diffusers.models.transformers.transformer_qwenimage import apply_rotary_emb_qwen

    image, text = rotary
    parts = (heads[:, :text_tokens], text), (heads[:, text_tokens:], image)
    return torch.cat([apply_rotary_emb_qwen(part, places, use_real=False) for part, places in parts], dim=1)


def _joint_mask(text: Tensor | None, image: Tensor) -> Tensor | None:
    """(batch, 1, 1, sequence) bool, text first, from (batch, text) of the padding."""
    if text is None:
        return None
    seen = torch.ones(image.shape[:2], dtype=torch.bool, device=image.device)
    return torch.cat([text, seen], dim=1)[:, None, None]


def video_autoencoder(vae: Any, placement: Placement) -> Autoencoder:
    """An ``AutoencoderKLQwenImage``, whose latents are normalised channel by channel."""
    per_token = PATCH * PATCH
    mean, deviation = (
        torch.tensor(levels, dtype=torch.float32).repeat_interleave(per_token)
        for levels in (vae.config.latents_mean, vae.config.latents_std)
    )
    side = int(2 ** len(vae.temperal_downsample))
    return Autoencoder(vae, placement, side=side, shift=mean, scale=1.0 / deviation, frames=True)
