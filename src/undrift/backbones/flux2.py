"""FLUX.2 over diffusers' own classes: klein and klein-base (Qwen3 reads the prompt), and dev (Mistral does).

Double blocks keep two streams with one modulation for all of them, single blocks fuse the projections of attention
and feed-forward part. Positions have four axes: time, row, column, and the place in the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap, Projections
from undrift.backbones.architecture import TransformerArchitecture
from undrift.backbones.autoencoder import Autoencoder
from undrift.backbones.base import Capabilities, Conditioning, Geometry, Guidance, NetworkInputs
from undrift.backbones.components import load_model, load_part, load_tokenizer
from undrift.backbones.flux2_prompts import Flux2Prompts, klein_text, mistral_text
from undrift.backbones.flux_attention import FluxProcessor, double_layers, single_layers
from undrift.backbones.folder import ModelFolder
from undrift.backbones.pipeline import Knowledge, Loaded, PipelineBackbone
from undrift.backbones.placement import Placement
from undrift.backbones.processors import TappedProcessor, installed
from undrift.backbones.scheduling import even, scheduled

KLEIN_LAYERS = (9, 18, 27)
"""Layers of Qwen3 whose outputs, side by side, are the text (diffusers' ``Flux2KleinPipeline``)."""

DEV_LAYERS = (10, 20, 30)
"""Those of Mistral in ``Flux2Pipeline``."""

DEV_LICENCE = "FLUX.2-dev weights have their own, non-commercial licence"


class Flux2Backbone(PipelineBackbone):
    """A FLUX.2 transformer with its VAE and text encoder.

    Args:
        transformer: diffusers' ``Flux2Transformer2DModel``.
        vae: ``AutoencoderKLFlux2``.
        prompts: embeds prompts.
        scheduler: the pipeline's scheduler configuration.
        distilled: whether guidance was distilled into the weights, as in klein but not in klein-base.
        placement: device, dtype and offloading; by default where the transformer is.
        known: what is known beside the weights.
    """

    pipeline_classes: ClassVar[tuple[str, ...]] = ("Flux2KleinPipeline", "Flux2Pipeline")

    def __init__(
        self,
        transformer: Any,
        *,
        vae: Any,
        prompts: Flux2Prompts,
        scheduler: Mapping[str, Any],
        distilled: bool = False,
        placement: Placement | None = None,
        known: Knowledge | None = None,
    ) -> None:
        placement = placement or Placement(transformer.device, transformer.dtype)
        autoencoder = batch_normed(vae, placement)
        double, single = double_layers(transformer), single_layers(transformer)
        layers = {**double, **single}
        self._two_streams = frozenset(double)
        config = transformer.config
        guidance: Guidance = "embedded" if config.guidance_embeds else "none" if distilled else "two_evaluations"
        super().__init__(
            transformer,
            layers=layers,
            architecture=TransformerArchitecture(
                capabilities=Capabilities(
                    guidance=guidance,
                    map_sites=tuple(double),
                    text_sites=tuple(double),
                    sharing_sites=tuple(single),
                    # Taps do not see the second evaluation, whose keys would have to be shared, too.
                    partial_sites=() if guidance == "two_evaluations" else tuple(layers),
                ),
                width=config.num_attention_heads * config.attention_head_dim,
                channels=config.in_channels,
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
        from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
        from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel

        return {
            "tokenizer": load_tokenizer(folder, "tokenizer"),
            "text_encoder": load_part(folder, "text_encoder", placement),
            "transformer": load_model(folder, "transformer", Flux2Transformer2DModel, placement),
            "vae": load_model(folder, "vae", AutoencoderKLFlux2, placement),
        }

    @classmethod
    def of_parts(cls, loaded: Loaded) -> Self:
        parts, is_klein = loaded.parts, loaded.index["_class_name"] == "Flux2KleinPipeline"
        prompts = Flux2Prompts(
            encoder=parts["text_encoder"],
            # A processor of pictures and text holds the tokenizer beside others.
            tokenizer=getattr(parts["tokenizer"], "tokenizer", parts["tokenizer"]),
            layers=KLEIN_LAYERS if is_klein else DEV_LAYERS,
            template=klein_text if is_klein else mistral_text,
            placement=loaded.placement,
        )
        distilled = bool(loaded.index.get("is_distilled", False))
        return cls(parts["transformer"], prompts=prompts, distilled=distilled, **loaded.common)

    @classmethod
    def notes(cls, folder: ModelFolder) -> str:
        return "" if folder.pipeline_class == "Flux2KleinPipeline" else DEV_LICENCE

    def sigmas(self, steps: int, geometry: Geometry) -> Tensor:
        return scheduled(self._scheduler, steps, mu=empirical_mu(geometry.tokens, steps), sigmas=even(steps))

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        device = self.placement.device
        guided = {"guidance": torch.tensor(guidance, dtype=torch.float32, device=device)}
        return {
            "encoder_hidden_states": self._to_network(conditioning.tensors["text"]),
            "img_ids": image_places(geometry).to(device),
            "txt_ids": text_places(conditioning.text_tokens).to(device),
            **(guided if self.capabilities.guidance == "embedded" else {"guidance": None}),
        }

    def part_of(self, inputs: NetworkInputs, tokens: Tensor) -> NetworkInputs:
        return {**inputs, "img_ids": inputs["img_ids"][tokens.to(self.placement.device)]}

    def _predicted(self, x: Tensor, sigma: Tensor, inputs: NetworkInputs) -> Tensor:
        self.running.text_tokens = inputs["txt_ids"].shape[0]
        # The transformer multiplies the time by 1000 itself.
        velocity: Tensor = self._network(x, timestep=sigma, return_dict=False, **inputs)[0]
        return velocity

    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        return installed(self._layers, taps, self._processor)

    def _processor(self, stock: Any, site: Site, taps: tuple[AttentionTap, ...]) -> TappedProcessor:
        # diffusers calls the attention of double blocks exactly as FLUX.1's.
        make = FluxProcessor if site in self._two_streams else Flux2SingleProcessor
        return make(stock, site, taps, self.running)


class Flux2SingleProcessor(FluxProcessor):
    """The attention of one single block, whose projections also hold the feed-forward part's."""

    def __call__(  # type: ignore[override]
        self,
        attn: Any,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        if not self.asked:
            given: Tensor = self.stock(attn, hidden_states, attention_mask, image_rotary_emb)
            return given
        widths = [3 * attn.inner_dim, attn.mlp_hidden_dim * attn.mlp_mult_factor]
        fused, forward = attn.to_qkv_mlp_proj(hidden_states).split(widths, dim=-1)
        query, key, value = (part.unflatten(-1, (-1, attn.head_dim)) for part in fused.chunk(3, dim=-1))
        joined = self.attention(
            Projections(attn.norm_q(query), attn.norm_k(key), value, self.running.text_tokens),
            attention_mask,
            image_rotary_emb,
        )
        out: Tensor = attn.to_out(torch.cat([joined, attn.mlp_act_fn(forward)], dim=-1))
        return out


def batch_normed(vae: Any, placement: Placement) -> Autoencoder:
    """An ``AutoencoderKLFlux2``, whose packed latents are normalised by a batch norm's running statistics."""
    return Autoencoder(
        vae,
        placement,
        side=int(2 ** (len(vae.config.block_out_channels) - 1)),
        shift=vae.bn.running_mean.detach().float(),
        scale=(vae.bn.running_var.detach().float() + vae.config.batch_norm_eps).rsqrt(),
    )


def empirical_mu(tokens: int, steps: int) -> float:
    """FLUX.2's shift: linear in the image's tokens, and in the steps between its fits for 10 and for 200 steps.

    The constants are those of the authors' code (github.com/black-forest-labs/flux2, ``sampling.py``).
    """
    many = 0.00016927 * tokens + 0.45666666
    if tokens > 4300:
        return many
    few = 8.73809524e-05 * tokens + 1.89833333
    slope = (many - few) / 190.0
    return slope * steps + many - 200.0 * slope


def image_places(geometry: Geometry) -> Tensor:
    """(tokens, 4) int64: (0, row, column, 0) of every image token."""
    zero = torch.arange(1)
    grid = torch.cartesian_prod(zero, torch.arange(geometry.rows), torch.arange(geometry.columns), zero)
    return grid.reshape(geometry.tokens, 4)


def text_places(tokens: int) -> Tensor:
    """(tokens, 4) int64: (0, 0, 0, column) of every text token."""
    zero = torch.arange(1)
    return torch.cartesian_prod(zero, zero, zero, torch.arange(tokens)).reshape(tokens, 4)
