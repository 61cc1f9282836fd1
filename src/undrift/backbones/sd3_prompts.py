"""Prompts as Stable Diffusion 3 takes them: two CLIPs side by side in the first columns, T5 behind, both pooled."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from undrift.backbones.conditioning import Conditioning, PromptTokens, placed
from undrift.backbones.placement import Placement
from undrift.backbones.prompt_memory import PromptMemory
from undrift.backbones.prompts import EmbeddedPrompt, cut, padded_ids, stacked
from undrift.errors import InputError

logger = logging.getLogger(__name__)

T5_TOKENS = 256
"""Columns of T5's that diffusers' pipeline gives the transformer."""


class SD3Prompts:
    """Embeds prompts, one at a time, so that an embedding does not depend on the batch it came in.

    A prompt too long for T5 is refused. CLIP sees as much of it as it can, as in diffusers, and a warning says so
    once. Without T5, whose columns are then zeros, it is CLIP's length that counts.

    Args:
        clips: the two encoders, each with its tokenizer.
        t5, t5_tokenizer: None in a model that was saved without them.
        width: of the transformer's text input.
        placement: where they run.
    """

    def __init__(
        self,
        *,
        clips: Sequence[tuple[Any, Any]],
        t5: Any,
        t5_tokenizer: Any,
        width: int,
        placement: Placement,
    ) -> None:
        self._clips = [(encoder.eval(), tokenizer) for encoder, tokenizer in clips]
        self._t5 = None if t5 is None else t5.eval()
        self._t5_tokenizer = t5_tokenizer
        self._width = width
        self._placement = placement
        self._memory = PromptMemory(self._embedded)
        self._warned = False

    @property
    def clip_columns(self) -> int:
        """Columns of CLIP's, in front of T5's."""
        return int(self._clips[0][1].model_max_length)

    @property
    def t5_columns(self) -> int:
        """Columns of T5's; the tokenizer may name fewer than the pipeline's."""
        return T5_TOKENS if self._t5 is None else min(int(self._t5_tokenizer.model_max_length), T5_TOKENS)

    @property
    def columns(self) -> int:
        """Columns that every prompt takes."""
        return self.clip_columns + self.t5_columns

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """Embed one prompt per batch row: ``text`` (batch, columns, width) and ``pooled`` (batch, both CLIPs').

        Raises:
            InputError: no prompt, or one that is too long.
        """
        return stacked(self._memory.rows(prompts))

    def _embedded(self, prompts: Sequence[str]) -> list[EmbeddedPrompt]:
        tokens = [self._tokens(prompt) for prompt in prompts]
        # One encoder after the other, so that offloading moves each once.
        clips = [[self._clip(encoder, tokenizer, p) for p in prompts] for encoder, tokenizer in self._clips]
        t5 = [self._t5_text(prompt) for prompt in prompts]
        made = []
        for one, other, behind, placed_tokens in zip(*clips, t5, tokens, strict=True):
            beside = torch.cat([one[0], other[0]], dim=-1)
            front = functional.pad(beside, (0, self._width - beside.shape[-1]))
            pooled = torch.cat([one[1], other[1]], dim=-1)
            made.append(EmbeddedPrompt(torch.cat([front, behind.to(front)], dim=1), pooled, placed_tokens))
        return made

    def _clip(self, encoder: Any, tokenizer: Any, prompt: str) -> tuple[Tensor, Tensor]:
        """The last but one layer's columns, (1, clip_columns, width), and the pooled projection."""
        ids = padded_ids(tokenizer, prompt, self.clip_columns).to(self._placement.device)
        with self._placement.using(encoder):
            output = encoder(ids, output_hidden_states=True)
        return output.hidden_states[-2], output.text_embeds

    def _t5_text(self, prompt: str) -> Tensor:
        if self._t5 is None:
            return torch.zeros(1, self.t5_columns, self._width)
        ids = padded_ids(self._t5_tokenizer, prompt, self.t5_columns).to(self._placement.device)
        with self._placement.using(self._t5):
            text: Tensor = self._t5(ids)[0]
        return text

    def _tokens(self, prompt: str) -> PromptTokens:
        clip = cut(self._clips[0][1], prompt)
        if self._t5 is None:
            self._check(prompt, clip, self.clip_columns)
            return clip
        t5 = cut(self._t5_tokenizer, prompt)
        self._check(prompt, t5, self.t5_columns)
        self._warn_of_length(clip)
        seen = cut(self._clips[0][1], prompt, self.clip_columns)
        return placed(prompt, {0: seen, self.clip_columns: t5})

    def _check(self, prompt: str, tokens: PromptTokens, limit: int) -> None:
        count = len(tokens.tokens)
        if count > limit:
            raise InputError(f"prompt '{prompt[:40]}…' has {count} tokens, the model takes {limit}: shorten it")

    def _warn_of_length(self, clip: PromptTokens) -> None:
        count = len(clip.tokens)
        if count > self.clip_columns and not self._warned:
            logger.warning(
                "a prompt has %d tokens, CLIP's columns see its first %d (T5 sees all)", count, self.clip_columns
            )
            self._warned = True
