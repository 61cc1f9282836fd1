"""Prompts as Stable Diffusion XL takes them: two CLIPs side by side in every column, and the second one's pooled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from undrift.backbones.conditioning import Conditioning
from undrift.backbones.placement import Placement
from undrift.backbones.prompt_memory import PromptMemory
from undrift.backbones.prompts import EmbeddedPrompt, cut, padded_ids, stacked
from undrift.errors import InputError


class SDXLPrompts:
    """Embeds prompts one at a time, so that an embedding does not depend on the batch it came in.

    Args:
        clips: the two encoders, each with its tokenizer.
        zeros: whether the empty prompt is zeros (``force_zeros_for_empty_prompt`` of the pipeline), as the model was
            trained without a prompt.
        placement: where they run.
    """

    def __init__(self, clips: Sequence[tuple[Any, Any]], *, zeros: bool, placement: Placement) -> None:
        self._clips = [(encoder.eval(), tokenizer) for encoder, tokenizer in clips]
        self._zeros = zeros
        self._placement = placement
        self._memory = PromptMemory(self._embedded)

    @property
    def columns(self) -> int:
        """Columns that every prompt takes."""
        return int(self._clips[0][1].model_max_length)

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """``text`` (batch, columns, both widths) and ``pooled`` (batch, width), one prompt per row.

        Raises:
            InputError: no prompt, or one that is too long.
        """
        return stacked(self._memory.rows(prompts))

    def _embedded(self, prompts: Sequence[str]) -> list[EmbeddedPrompt]:
        tokens = [cut(self._clips[0][1], prompt) for prompt in prompts]
        for found in tokens:
            if len(found.tokens) > self.columns:
                raise InputError(
                    f"prompt '{found.prompt[:40]}…' has {len(found.tokens)} tokens, the model takes {self.columns}:"
                    " shorten it"
                )
        # One encoder after the other, so that offloading moves each once.
        first, second = ([self._clip(number, prompt) for prompt in prompts] for number in (0, 1))
        return [
            EmbeddedPrompt(torch.cat([one, other], dim=-1), pooled, placed)
            for (one, _), (other, pooled), placed in zip(first, second, tokens, strict=True)
        ]

    def _clip(self, number: int, prompt: str) -> tuple[Tensor, Tensor]:
        """The last but one layer's columns, (1, columns, width), and the output that is pooled, (1, width)."""
        encoder, tokenizer = self._clips[number]
        ids = padded_ids(tokenizer, prompt, self.columns).to(self._placement.device)
        with self._placement.using(encoder):
            output = encoder(ids, output_hidden_states=True)
        text, pooled = output.hidden_states[-2], output[0]
        # As diffusers has it without a negative prompt, which is what the empty one is here.
        return (torch.zeros_like(text), torch.zeros_like(pooled)) if self._zeros and not prompt else (text, pooled)
