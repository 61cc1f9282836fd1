"""Prompts as Qwen-Image takes them: behind a template that a vision-language model reads and whose columns go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from undrift.backbones.conditioning import Conditioning, PromptTokens
from undrift.backbones.placement import Placement
from undrift.backbones.prompt_memory import PromptMemory
from undrift.backbones.prompts import spans_in
from undrift.errors import InputError

BEFORE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial"
    " relationships of the objects and background:<|im_end|>\n<|im_start|>user\n"
)
BEHIND = "<|im_end|>\n<|im_start|>assistant\n"
"""What diffusers' ``QwenImagePipeline`` writes around a prompt, as the model was trained."""

DROPPED = 34
"""Tokens of ``BEFORE``: the transformer does not see them."""

TEXT_TOKENS = 512
"""The most columns that the pipeline gives the transformer, those of ``BEHIND`` included."""


class QwenPrompts:
    """Embeds prompts, one at a time, so that an embedding does not depend on the batch it came in.

    Args:
        encoder: the language model.
        tokenizer: its own.
        placement: where it runs.
    """

    def __init__(self, *, encoder: Any, tokenizer: Any, placement: Placement) -> None:
        self._encoder = encoder.eval()
        self._tokenizer = tokenizer
        self._placement = placement
        self._memory = PromptMemory(lambda prompts: [self._embedded(prompt) for prompt in prompts])

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """Embed one prompt per batch row: ``text`` (batch, longest, width), the padding of shorter ones masked.

        Raises:
            InputError: no prompt, or one that is too long.
        """
        rows = self._memory.rows(prompts)
        text = pad_sequence([text.float() for text, _ in rows], batch_first=True)
        lengths = torch.tensor([len(text) for text, _ in rows])
        mask = torch.arange(text.shape[1]) < lengths.unsqueeze(1)
        return Conditioning({"text": text}, tuple(tokens for _, tokens in rows), text.shape[1], mask)

    def _embedded(self, prompt: str) -> tuple[Tensor, PromptTokens]:
        read = self._tokenizer(BEFORE + prompt + BEHIND, return_offsets_mapping=True, return_tensors="pt")
        columns = read["input_ids"].shape[1] - DROPPED
        if columns > TEXT_TOKENS:
            raise InputError(
                f"prompt '{prompt[:40]}…' has {columns} tokens with its template, the model takes {TEXT_TOKENS}:"
                f" shorten it"
            )
        ids, mask = (read[name].to(self._placement.device) for name in ("input_ids", "attention_mask"))
        with self._placement.using(self._encoder):
            output = self._encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True)
            text = output.hidden_states[-1][0, DROPPED:]
        spans = spans_in(prompt, read["offset_mapping"][0, DROPPED:].tolist(), len(BEFORE))
        pieces = self._tokenizer.convert_ids_to_tokens(read["input_ids"][0, DROPPED:].tolist())
        return text, PromptTokens(prompt, tuple(pieces), spans)
