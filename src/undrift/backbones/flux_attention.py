"""Serves attention taps inside diffusers' FLUX transformer, through its own attention layers.

diffusers lets every attention layer carry a *processor*, the function that turns hidden states into the layer's
output. ``installed`` puts a ``TappedProcessor`` on the layers that some tap wants and nothing on the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap, Projections
from undrift.errors import InputError


@dataclass
class TextLength:
    """How many of the sequence's tokens are text: single blocks are not told, so each evaluation says it."""

    tokens: int = 0


def attention_layers(transformer: Any) -> dict[Site, Any]:
    """diffusers' attention layer of every site, in the order in which they run."""
    double = {Site("double", i): block.attn for i, block in enumerate(transformer.transformer_blocks)}
    single = {Site("single", i): block.attn for i, block in enumerate(transformer.single_transformer_blocks)}
    return {**double, **single}


@contextmanager
def installed(layers: Mapping[Site, Any], taps: Sequence[AttentionTap], text_length: TextLength) -> Iterator[None]:
    """Install ``taps`` on the layers they want and put every layer's processor back, whatever happens inside.

    Taps of an enclosing block stay active and are asked first.
    """
    before: dict[Site, Any] = {}
    try:
        for site, attn in layers.items():
            wanting = tuple(tap for tap in taps if tap.wants(site))
            if wanting:
                before[site] = attn.processor
                attn.set_processor(_extended(attn.processor, site, wanting, text_length))
        yield
    finally:
        for site, processor in before.items():
            layers[site].set_processor(processor)


def _extended(processor: Any, site: Site, taps: tuple[AttentionTap, ...], text_length: TextLength) -> TappedProcessor:
    if isinstance(processor, TappedProcessor):
        return TappedProcessor(processor.stock, site, (*processor.taps, *taps), text_length)
    return TappedProcessor(processor, site, taps, text_length)


class TappedProcessor:
    """The attention of one FLUX layer with its taps asked on the way.

    With taps that change nothing the output equals the stock processor's bit for bit: the same layers and the
    same attention dispatch run on the same tensors.
    """

    def __init__(self, stock: Any, site: Site, taps: tuple[AttentionTap, ...], text_length: TextLength) -> None:
        self.stock = stock
        self.site = site
        self.taps = taps
        self._text_length = text_length

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        projections = _project(attn, hidden_states, encoder_hidden_states, self._text_length.tokens)
        for tap in self.taps:
            projections = tap.project(self.site, projections)
        query, key = _rotated(projections.query, projections.key, image_rotary_emb)
        attended = self._attend(query, key, projections.value, projections.text_tokens, attention_mask)
        joined = attended.flatten(2, 3).to(query.dtype)
        if encoder_hidden_states is None:
            return joined
        return _project_out(attn, joined, projections.text_tokens)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, text: int, mask: Tensor | None) -> Tensor:
        answers = [(tap, tap.attend(self.site, query, key, value, text)) for tap in self.taps]
        given = [(tap, answer) for tap, answer in answers if answer is not None]
        if len(given) > 1:
            names = " and ".join(type(tap).__name__ for tap, _ in given)
            raise InputError(
                f"{names} both replace the attention of {self.site.kind} block {self.site.index}: install one of them"
            )
        return given[0][1] if given else self._stock_attention(query, key, value, mask)

    def _stock_attention(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        from diffusers.models.attention_dispatch import dispatch_attention_fn

        options = {"parallel_config": getattr(self.stock, "_parallel_config", None)}
        given = {name: option for name, option in options.items() if option is not None}
        backend = getattr(self.stock, "_attention_backend", None)
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
    return Projections(query, key, value, text.shape[1])


def _rotated(query: Tensor, key: Tensor, rotary: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
    if rotary is None:
        return query, key
    from diffusers.models.embeddings import apply_rotary_emb

    return apply_rotary_emb(query, rotary, sequence_dim=1), apply_rotary_emb(key, rotary, sequence_dim=1)


def _project_out(attn: Any, joined: Tensor, text_tokens: int) -> tuple[Tensor, Tensor]:
    """The two streams of a double block, (image, text)."""
    text, image = joined[:, :text_tokens], joined[:, text_tokens:]
    projection, dropout = attn.to_out
    return dropout(projection(image.contiguous())), attn.to_add_out(text.contiguous())
