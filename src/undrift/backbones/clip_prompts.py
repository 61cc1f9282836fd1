"""Prompts as Stable Diffusion 1 and 2 take them: all of CLIP's last layer, padding included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from undrift.backbones.conditioning import Conditioning, PromptTokens
from undrift.backbones.placement import Placement
from undrift.backbones.prompt_memory import PromptMemory
from undrift.backbones.prompts import cut
from undrift.errors import InputError


class ClipPrompts:
    """Embeds prompts one at a time, so that an embedding does not depend on the batch it came in.

    Args:
        encoder, tokenizer: the pipeline's.
        placement: where the encoder runs.
    """

    def __init__(self, encoder: Any, tokenizer: Any, placement: Placement) -> None:
        self._encoder = encoder.eval()
        self._tokenizer = tokenizer
        self._placement = placement
        self._memory = PromptMemory(self._embedded)

    @property
    def columns(self) -> int:
        """Columns that every prompt takes."""
        return int(self._tokenizer.model_max_length)

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """``text`` (batch, columns, width), one prompt per row.

        Raises:
            InputError: no prompt, or one that is too long.
        """
        rows = self._memory.rows(prompts)
        text = torch.cat([text for text, _ in rows]).float()
        return Conditioning({"text": text}, tuple(tokens for _, tokens in rows), self.columns)

    def _embedded(self, prompts: Sequence[str]) -> list[tuple[Tensor, PromptTokens]]:
        # Its length first: what is too long is not embedded.
        tokens = [self._tokens(prompt) for prompt in prompts]
        return [(self._text(prompt), found) for prompt, found in zip(prompts, tokens, strict=True)]

    def _tokens(self, prompt: str) -> PromptTokens:
        tokens = cut(self._tokenizer, prompt)
        count = len(tokens.tokens)
        if count > self.columns:
            raise InputError(
                f"prompt '{prompt[:40]}…' has {count} tokens, the model takes {self.columns}: shorten it"
            )
        return tokens

    def _text(self, prompt: str) -> Tensor:
        padded = self._tokenizer(
            [prompt], padding="max_length", max_length=self.columns, truncation=True, return_tensors="pt"
        )
        with self._placement.using(self._encoder):
            text: Tensor = self._encoder(padded.input_ids.to(self._placement.device))[0]
        return text
