"""Prompts as FLUX.2 takes them: a chat's turn, read by a language model, the outputs of some layers side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from undrift.backbones.conditioning import Conditioning, PromptTokens
from undrift.backbones.placement import Placement
from undrift.backbones.prompt_memory import PromptMemory
from undrift.backbones.prompts import spans_in
from undrift.errors import InputError

TEXT_TOKENS = 512
"""Columns that the pipelines give the transformer; their padding takes part in its attention."""

MARK = "\ue000"
"""A character of the private use area, which no prompt holds and no template has."""

Template = Callable[[Any, str], str]


class Flux2Prompts:
    """Embeds prompts, one at a time, so that an embedding does not depend on the batch it came in.

    Args:
        encoder: the language model, which sees the padding masked.
        tokenizer: its own, with a chat template.
        layers: whose outputs are the text.
        template: from the tokenizer and a prompt to the chat in which the model reads it.
        placement: where it runs.
    """

    def __init__(
        self, *, encoder: Any, tokenizer: Any, layers: Sequence[int], template: Template, placement: Placement
    ) -> None:
        self._encoder = encoder.eval()
        self._tokenizer = tokenizer
        self._layers = tuple(layers)
        self._template = template
        self._placement = placement
        self._memory = PromptMemory(lambda prompts: [self._embedded(prompt) for prompt in prompts])

    @property
    def columns(self) -> int:
        """Columns that every prompt takes; the tokenizer may name fewer than FLUX.2's."""
        return min(int(self._tokenizer.model_max_length), TEXT_TOKENS)

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """Embed one prompt per batch row: ``text`` (batch, columns, layers * width).

        Raises:
            InputError: no prompt, or one that is too long.
        """
        rows = self._memory.rows(prompts)
        text = torch.cat([text for text, _ in rows]).float()
        return Conditioning({"text": text}, tuple(tokens for _, tokens in rows), self.columns)

    def _embedded(self, prompt: str) -> tuple[Tensor, PromptTokens]:
        chat = self._template(self._tokenizer, prompt)
        self._check_length(prompt, chat)
        read = self._tokenizer(
            chat,
            add_special_tokens=self._needs_special(chat),
            padding="max_length",
            truncation=True,
            max_length=self.columns,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        ids, mask = (read[name].to(self._placement.device) for name in ("input_ids", "attention_mask"))
        with self._placement.using(self._encoder):
            output = self._encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
            text = torch.cat([output.hidden_states[layer] for layer in self._layers], dim=-1)
        start = self._template(self._tokenizer, MARK).index(MARK)
        spans = spans_in(prompt, read["offset_mapping"][0].tolist(), start)
        pieces = self._tokenizer.convert_ids_to_tokens(read["input_ids"][0].tolist())
        return text, PromptTokens(prompt, tuple(pieces), spans)

    def _check_length(self, prompt: str, chat: str) -> None:
        count = len(self._tokenizer(chat, add_special_tokens=self._needs_special(chat), verbose=False).input_ids)
        if count > self.columns:
            raise InputError(
                f"prompt '{prompt[:40]}…' has {count} tokens with its template, the model takes {self.columns}:"
                f" shorten it"
            )

    def _needs_special(self, chat: str) -> bool:
        # A template that writes the first token itself must not get it twice.
        first = self._tokenizer.bos_token
        return not (first and chat.startswith(first))


def klein_text(tokenizer: Any, prompt: str) -> str:
    """The chat of ``Flux2KleinPipeline``: the user's turn, and an answer that begins without thinking."""
    chat: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    return chat


def mistral_text(tokenizer: Any, prompt: str) -> str:
    """The chat of ``Flux2Pipeline``: its system message, then the user's turn.

    Raises:
        InputError: the prompt holds the marker of a picture.
    """
    from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE

    if "[IMG]" in prompt:
        raise InputError("the prompt holds '[IMG]', which stands for a picture in this model's prompts: leave it out")
    said = (("system", SYSTEM_MESSAGE), ("user", prompt))
    messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in said]
    chat: str = tokenizer.apply_chat_template(messages, add_generation_prompt=False, tokenize=False)
    return chat
