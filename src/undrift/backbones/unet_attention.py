"""The attention layers of diffusers' conditional UNets, and how taps see them.

Every transformer block of such a UNet holds two layers: in one the image attends to itself, in the other to the
prompt alone. Taps are shown both as parts of one sequence, text first (``undrift.attention.taps.Projections``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from undrift.attention.kernel import attention
from undrift.attention.sites import Site
from undrift.attention.taps import Projections
from undrift.backbones.processors import TappedProcessor

SELF, CROSS = "self", "cross"


@dataclass(frozen=True)
class Layer:
    """One attention layer.

    Attributes:
        attn: diffusers' layer.
        level: how often the resolution was halved in front of it.
        down: whether it lies on the way down.
        width: channels of its projections.
        reads_text: whether the image attends to the prompt in it, and not to itself.
    """

    attn: Any
    level: int
    down: bool
    width: int
    reads_text: bool

    @classmethod
    def of(cls, attn: Any, level: int, down: bool, *, reads_text: bool) -> Layer:
        return cls(attn, level, down, int(attn.to_q.out_features), reads_text)


def attention_layers(unet: Any) -> dict[Site, Layer]:
    """The layers in the order in which they run, which is not that of diffusers' own dictionary."""
    found: dict[Site, Layer] = {}
    for number, (block, level, down) in enumerate(_transformer_blocks(unet)):
        found[Site(SELF, number)] = Layer.of(block.attn1, level, down, reads_text=False)
        found[Site(CROSS, number)] = Layer.of(block.attn2, level, down, reads_text=True)
    return found


def _transformer_blocks(unet: Any) -> Iterator[tuple[Any, int, bool]]:
    last = len(unet.down_blocks) - 1
    parts = [(part, level, True) for level, part in enumerate(unet.down_blocks)]
    parts += [] if unet.mid_block is None else [(unet.mid_block, last, False)]
    parts += [(part, last - number, False) for number, part in enumerate(unet.up_blocks)]
    for part, level, down in parts:
        for holder in getattr(part, "attentions", ()):
            for block in holder.transformer_blocks:
                yield block, level, down


class UNetProcessor(TappedProcessor):
    """``text_first`` with its taps asked on the way."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        if not self.asked:
            given: Tensor = self.stock(attn, hidden_states, encoder_hidden_states, attention_mask)
            return given
        return text_first(
            attn, hidden_states, encoder_hidden_states, attention_mask, project=self.projected, attend=self.attended
        )


def text_first(
    attn: Any,
    hidden_states: Tensor,
    encoder_hidden_states: Tensor | None = None,
    attention_mask: Tensor | None = None,
    *,
    project: Callable[[Projections], Projections] = lambda made: made,
    attend: Callable[[Tensor, Tensor, Tensor, int, Tensor | None], Tensor | None] = lambda *_: None,
) -> Tensor:
    """The layer's output (batch, image_tokens, channels). The backbone always runs it, so that a tap that only reads
    changes no bit."""
    made = project(_projected(attn, hidden_states, encoder_hidden_states))
    out = attend(made.query, made.key, made.value, made.text_tokens, attention_mask)
    if out is None:
        out = attention(made.query, made.key, made.value, attention_mask)
    projection, dropout = attn.to_out
    joined: Tensor = dropout(projection(out[:, made.text_tokens :].flatten(2).to(hidden_states.dtype)))
    return joined


def _projected(attn: Any, image: Tensor, text: Tensor | None) -> Projections:
    source = image if text is None else text
    query, key, value = (_heads(attn, tensor) for tensor in (attn.to_q(image), attn.to_k(source), attn.to_v(source)))
    if attn.norm_q is not None:
        query = attn.norm_q(query)
    if attn.norm_k is not None:
        key = attn.norm_k(key)
    if text is None:
        return Projections(query, key, value, 0)
    nothing = query.new_zeros(query.shape[0], text.shape[1], *query.shape[2:])
    return Projections(torch.cat([nothing, query], dim=1), key, value, text.shape[1])


def _heads(attn: Any, projected: Tensor) -> Tensor:
    return projected.reshape(*projected.shape[:-1], attn.heads, -1)
