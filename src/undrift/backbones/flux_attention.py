"""Serves attention taps inside diffusers' FLUX transformer, through its own attention layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import Projections
from undrift.backbones.processors import TappedProcessor


def double_layers(transformer: Any) -> dict[Site, Any]:
    """diffusers' attention layers of the blocks that keep image and text apart, which run first."""
    return {Site("double", i): block.attn for i, block in enumerate(transformer.transformer_blocks)}


def single_layers(transformer: Any) -> dict[Site, Any]:
    """Those of the blocks behind them, which hold both as one."""
    return {Site("single", i): block.attn for i, block in enumerate(transformer.single_transformer_blocks)}


def attention_layers(transformer: Any) -> dict[Site, Any]:
    """diffusers' attention layer of every site, in the order in which they run."""
    return {**double_layers(transformer), **single_layers(transformer)}


class FluxProcessor(TappedProcessor):
    """The attention of one FLUX layer with its taps asked on the way.

    With taps that change nothing the output equals the stock processor's bit for bit: the same layers and the
    same attention dispatch run on the same tensors.
    """

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        if not self.asked:
            given: Tensor | tuple[Tensor, Tensor] = self.stock(
                attn, hidden_states, encoder_hidden_states, attention_mask, image_rotary_emb
            )
            return given
        text_tokens = self.running.text_tokens if encoder_hidden_states is None else encoder_hidden_states.shape[1]
        # Nobody but the callee holds the projections: what is not rotated is freed before the attention runs.
        joined = self.attention(
            _project(attn, hidden_states, encoder_hidden_states, text_tokens), attention_mask, image_rotary_emb
        )
        if encoder_hidden_states is None:
            return joined
        return _project_out(attn, joined, text_tokens)

    def attention(self, made: Projections, mask: Tensor | None, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
        """The attention of projections as the taps leave them, heads side by side."""
        made = _rotated(self.projected(made), rotary)
        attended = self.attended(made.query, made.key, made.value, made.text_tokens, mask)
        if attended is None:
            attended = stock_attention(self.stock, made.query, made.key, made.value, mask)
        return attended.flatten(2, 3).to(made.query.dtype)


def stock_attention(stock: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Attention (batch, sequence, heads, head_dim) by the backend that a layer's stock processor was given."""
    from diffusers.models.attention_dispatch import dispatch_attention_fn

    options = {"parallel_config": getattr(stock, "_parallel_config", None)}
    given = {name: option for name, option in options.items() if option is not None}
    backend = getattr(stock, "_attention_backend", None)
    output: Tensor = dispatch_attention_fn(query, key, value, attn_mask=mask, backend=backend, **given)
    return output


def _heads(attn: Any, projected: Tensor) -> Tensor:
    return projected.reshape(*projected.shape[:-1], -1, attn.head_dim)


def _project(attn: Any, image: Tensor, text: Tensor | None, text_tokens: int) -> Projections:
    """Query, key and value of the whole sequence, text first; ``image`` holds it all in single blocks."""
    query = attn.norm_q(_heads(attn, attn.to_q(image)))
    key = attn.norm_k(_heads(attn, attn.to_k(image)))
    value = _heads(attn, attn.to_v(image))
    if text is None:
        return Projections(query, key, value, text_tokens)
    query = torch.cat([attn.norm_added_q(_heads(attn, attn.add_q_proj(text))), query], dim=1)
    key = torch.cat([attn.norm_added_k(_heads(attn, attn.add_k_proj(text))), key], dim=1)
    value = torch.cat([_heads(attn, attn.add_v_proj(text)), value], dim=1)
    return Projections(query, key, value, text_tokens)


def _rotated(made: Projections, rotary: tuple[Tensor, Tensor] | None) -> Projections:
    if rotary is None:
        return made
    from diffusers.models.embeddings import apply_rotary_emb

    query, key = (apply_rotary_emb(part, rotary, sequence_dim=1) for part in (made.query, made.key))
    return replace(made, query=query, key=key)


def _project_out(attn: Any, joined: Tensor, text_tokens: int) -> tuple[Tensor, Tensor]:
    """The two streams of a double block, (image, text)."""
    text, image = joined[:, :text_tokens], joined[:, text_tokens:]
    projection, dropout = attn.to_out
    return dropout(projection(image.contiguous())), attn.to_add_out(text.contiguous())
