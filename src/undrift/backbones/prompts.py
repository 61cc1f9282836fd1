"""Prompts to conditionings as FLUX does it: T5's padded sequence and CLIP's pooled vector, with the words' places."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from undrift.backbones.conditioning import NOWHERE, Conditioning, PromptTokens, Span
from undrift.backbones.flux_architecture import TEXT_TOKENS
from undrift.backbones.placement import Placement
from undrift.backbones.prompt_memory import PromptMemory
from undrift.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddedPrompt:
    """One prompt: its sequence (1, columns, width), its pooled vector (1, width), and where its words are."""

    text: Tensor
    pooled: Tensor
    tokens: PromptTokens


def conditioning_of(text: Tensor, pooled: Tensor, tokens: tuple[PromptTokens, ...]) -> Conditioning:
    """Prompts as FLUX takes them: T5's sequence (batch, text_tokens, width) and CLIP's vector (batch, width)."""
    return Conditioning({"text": text, "pooled": pooled}, tokens, text.shape[1])


def stacked(rows: Sequence[EmbeddedPrompt]) -> Conditioning:
    """One prompt per batch row, in float32."""
    return conditioning_of(
        text=torch.cat([row.text for row in rows]).float(),
        pooled=torch.cat([row.pooled for row in rows]).float(),
        tokens=tuple(row.tokens for row in rows),
    )


class PromptEncoder:
    """Embeds prompts and remembers the last of them.

    T5's padding takes part in attention, as in FLUX. A prompt too long for T5 is refused; CLIP sees as much of
    it as it can, again as in FLUX, and a warning says so once.

    Args:
        t5, t5_tokenizer: the sequence encoder (``text_encoder_2`` of a pipeline).
        clip, clip_tokenizer: the pooled encoder.
        placement: where they run.
        limit: of tokens, lower than FLUX's; None for FLUX's.
    """

    def __init__(
        self,
        *,
        t5: Any,
        t5_tokenizer: Any,
        clip: Any,
        clip_tokenizer: Any,
        placement: Placement,
        limit: int | None = None,
    ) -> None:
        self._t5 = t5.eval()
        self._t5_tokenizer = t5_tokenizer
        self._clip = clip.eval()
        self._clip_tokenizer = clip_tokenizer
        self._placement = placement
        self._limit = limit or TEXT_TOKENS
        self._memory = PromptMemory(self._embedded)
        self._warned_clip = False

    @property
    def limit(self) -> int:
        """The most tokens a prompt may have, the end token included; the tokenizer may name fewer than FLUX's."""
        return min(int(self._t5_tokenizer.model_max_length), TEXT_TOKENS, self._limit)

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """Embed one prompt per batch row.

        Raises:
            InputError: no prompt, or one with more than ``limit`` tokens.
        """
        return stacked(self._memory.rows(prompts))

    def _embedded(self, prompts: Sequence[str]) -> list[EmbeddedPrompt]:
        # One prompt at a time, so that its embedding does not depend on the batch it came in; one encoder after
        # the other, so that offloading moves each once.
        tokens = [self._t5_tokens(prompt) for prompt in prompts]
        for prompt in prompts:
            self._warn_of_length(prompt)
        texts = [self._text(prompt) for prompt in prompts]
        pooled = [self._pooled(prompt) for prompt in prompts]
        return [EmbeddedPrompt(*parts) for parts in zip(texts, pooled, tokens, strict=True)]

    def _text(self, prompt: str) -> Tensor:
        ids = padded_ids(self._t5_tokenizer, prompt, self.limit).to(self._placement.device)
        with self._placement.using(self._t5):
            text: Tensor = self._t5(ids)[0]
        return text

    def _pooled(self, prompt: str) -> Tensor:
        limit = int(self._clip_tokenizer.model_max_length)
        ids = padded_ids(self._clip_tokenizer, prompt, limit).to(self._placement.device)
        with self._placement.using(self._clip):
            pooled: Tensor = self._clip(ids).pooler_output
        return pooled

    def _t5_tokens(self, prompt: str) -> PromptTokens:
        tokens = cut(self._t5_tokenizer, prompt)
        if len(tokens.tokens) > self.limit:
            count = len(tokens.tokens)
            raise InputError(f"prompt '{prompt[:40]}…' has {count} tokens, the model takes {self.limit}: shorten it")
        return tokens

    def _warn_of_length(self, prompt: str) -> None:
        limit = int(self._clip_tokenizer.model_max_length)
        count = len(cut(self._clip_tokenizer, prompt).tokens)
        if count > limit and not self._warned_clip:
            logger.warning(
                "a prompt has %d tokens, the pooled text encoder sees its first %d (T5 sees all)", count, limit
            )
            self._warned_clip = True


def cut(tokenizer: Any, prompt: str, limit: int | None = None) -> PromptTokens:
    """The pieces of ``prompt`` with the characters each covers, surrounding white space left out of the spans."""
    encoding = tokenizer(
        prompt,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        truncation=limit is not None,
        max_length=limit,
        verbose=False,
    )
    spans = [
        (0, 0) if special else _trimmed(prompt, start, end)
        for special, (start, end) in zip(encoding["special_tokens_mask"], encoding["offset_mapping"], strict=True)
    ]
    pieces = tokenizer.convert_ids_to_tokens(encoding["input_ids"])
    return PromptTokens(prompt=prompt, tokens=tuple(pieces), spans=tuple(spans))


def spans_in(prompt: str, offsets: Sequence[Sequence[int]], start: int) -> tuple[Span, ...]:
    """Spans in ``prompt`` of pieces of a longer text, in which the prompt begins at ``start``; others are nowhere."""
    inside = [(max(a - start, 0), min(b - start, len(prompt))) for a, b in offsets]
    return tuple(_trimmed(prompt, a, b) if a < b else NOWHERE for a, b in inside)


def _trimmed(prompt: str, start: int, end: int) -> tuple[int, int]:
    piece = prompt[start:end]
    lead = len(piece) - len(piece.lstrip())
    return start + lead, start + lead + len(piece.strip())


def padded_ids(tokenizer: Any, prompt: str, limit: int) -> Tensor:
    """Token ids (1, limit) of ``prompt``, padded or cut to ``limit``."""
    encoding = tokenizer(prompt, padding="max_length", max_length=limit, truncation=True, return_tensors="pt")
    ids: Tensor = encoding.input_ids
    return ids
