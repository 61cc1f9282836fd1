"""Stable Diffusion 3 and 3.5 over diffusers' own classes (Esser et al. 2024, arXiv 2403.03206).

One kind of block, in which image and text attend to each other. Text is CLIP's columns, then T5's. diffusers puts the
image in front of the text; here the text comes first, as taps see it, whether a tap is installed or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Self

from torch import Tensor
from torch.nn import functional

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap, Projections
from undrift.backbones.architecture import TransformerArchitecture
from undrift.backbones.autoencoder import Autoencoder
from undrift.backbones.base import Capabilities, Conditioning, Geometry, NetworkInputs
from undrift.backbones.components import load_model, load_tokenizer
from undrift.backbones.folder import ModelFolder
from undrift.backbones.geometry import PATCH, pack, unpack
from undrift.backbones.joint import joint_projections
from undrift.backbones.pipeline import Knowledge, Loaded, PipelineBackbone
from undrift.backbones.placement import Placement
from undrift.backbones.processors import TappedProcessor, installed
from undrift.backbones.scheduling import resolution_mu, scheduled
from undrift.backbones.sd3_prompts import SD3Prompts
from undrift.errors import InputError

MAX_SHIFT = 1.16
"""What the pipeline takes where the scheduler's configuration has no ``max_shift``."""


class SD3Backbone(PipelineBackbone):
    """A Stable Diffusion 3 transformer with its VAE and text encoders.

    Args:
        transformer: diffusers' ``SD3Transformer2DModel``; its joint attention layers get a processor that computes
            the same with the text in front.
        vae: ``AutoencoderKL``.
        prompts: embeds prompts.
        scheduler: the pipeline's scheduler configuration; by default as published for 3.5.
        placement: device, dtype and offloading; by default where the transformer is.
        known: what is known beside the weights.
    """

    pipeline_classes: ClassVar[tuple[str, ...]] = ("StableDiffusion3Pipeline",)

    def __init__(
        self,
        transformer: Any,
        *,
        vae: Any,
        prompts: SD3Prompts,
        scheduler: Mapping[str, Any] = MappingProxyType({"shift": 3.0}),
        placement: Placement | None = None,
        known: Knowledge | None = None,
    ) -> None:
        placement = placement or Placement(transformer.device, transformer.dtype)
        autoencoder = Autoencoder.kl(vae, placement)
        layers = {Site("joint", i): block.attn for i, block in enumerate(transformer.transformer_blocks)}
        for layer in layers.values():
            layer.set_processor(TextFirst())
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
                ),
                width=config.num_attention_heads * config.attention_head_dim,
                channels=PATCH * PATCH * config.in_channels,
                text_tokens=prompts.columns,
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
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
        from transformers import CLIPTextModelWithProjection, T5EncoderModel

        parts: dict[str, Any] = {"text_encoder_3": None, "tokenizer_3": None}
        for number in ("", "_2"):
            encoder, tokenizer = f"text_encoder{number}", f"tokenizer{number}"
            parts[encoder] = load_model(folder, encoder, CLIPTextModelWithProjection, placement)
            parts[tokenizer] = load_tokenizer(folder, tokenizer)
        if "text_encoder_3" in folder.parts():
            parts["text_encoder_3"] = load_model(folder, "text_encoder_3", T5EncoderModel, placement)
            parts["tokenizer_3"] = load_tokenizer(folder, "tokenizer_3")
        parts["transformer"] = load_model(folder, "transformer", SD3Transformer2DModel, placement)
        parts["vae"] = load_model(folder, "vae", AutoencoderKL, placement)
        return parts

    @classmethod
    def of_parts(cls, loaded: Loaded) -> Self:
        parts = loaded.parts
        prompts = SD3Prompts(
            clips=[(parts["text_encoder"], parts["tokenizer"]), (parts["text_encoder_2"], parts["tokenizer_2"])],
            t5=parts["text_encoder_3"],
            t5_tokenizer=parts["tokenizer_3"],
            width=parts["transformer"].config.joint_attention_dim,
            placement=loaded.placement,
        )
        return cls(parts["transformer"], prompts=prompts, **loaded.common)

    @classmethod
    def notes(cls, folder: ModelFolder) -> str:
        return "Stability AI community licence"

    def sigmas(self, steps: int, geometry: Geometry) -> Tensor:
        return scheduled(
            self._scheduler, steps, mu=resolution_mu(self._scheduler, geometry.tokens, max_shift=MAX_SHIFT)
        )

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        self._check_size(geometry)
        return {
            "geometry": geometry,
            "prompt": {
                "encoder_hidden_states": self._to_network(conditioning.tensors["text"]),
                "pooled_projections": self._to_network(conditioning.tensors["pooled"]),
            },
        }

    def _predicted(self, x: Tensor, sigma: Tensor, inputs: NetworkInputs) -> Tensor:
        grid = unpack(x, inputs["geometry"])
        velocity = self._network(grid, timestep=1000.0 * sigma, return_dict=False, **inputs["prompt"])[0]
        return pack(velocity)

    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        return installed(self._layers, taps, partial(SD3Processor, running=self.running))

    def _check_size(self, geometry: Geometry) -> None:
        most = self._network.config.pos_embed_max_size
        if max(geometry.rows, geometry.columns) > most:
            side = most * geometry.token_side
            raise InputError(
                f"the picture is {geometry.width} x {geometry.height} pixels, {self.identity.name} knows positions"
                f" up to {side} x {side}: give a smaller picture"
            )


class TextFirst:
    """diffusers' ``JointAttnProcessor2_0`` with the text's tokens in front of the image's."""

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        return joint_attention(attn, hidden_states, encoder_hidden_states)


class SD3Processor(TappedProcessor):
    """``TextFirst`` with its taps asked on the way."""

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.asked:
            given: tuple[Tensor, Tensor] = self.stock(attn, hidden_states, encoder_hidden_states)
            return given
        return joint_attention(attn, hidden_states, encoder_hidden_states, self.projected, self.attended)


def joint_attention(
    attn: Any,
    image: Tensor,
    text: Tensor,
    project: Callable[[Projections], Projections] = lambda made: made,
    attend: Callable[[Tensor, Tensor, Tensor, int, None], Tensor | None] = lambda *_: None,
) -> tuple[Tensor, Tensor]:
    """The attention of one block, (image, text); no rotary embedding, and no mask: padding takes part."""
    made = project(joint_projections(attn, image, text))
    out = attend(made.query, made.key, made.value, made.text_tokens, None)
    if out is None:
        q, k, v = (tensor.transpose(1, 2) for tensor in (made.query, made.key, made.value))
        out = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)
    joined = out.flatten(2).to(made.query.dtype)
    read, seen = joined[:, : text.shape[1]], joined[:, text.shape[1] :]
    projection, dropout = attn.to_out
    # The last block's text goes nowhere, and has no layer to go through.
    return dropout(projection(seen)), read if attn.context_pre_only else attn.to_add_out(read)
