"""Prompts as a model takes them: named tensors, and where in the attention each word is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undrift.errors import InputError

Span = tuple[int, int]

NOWHERE: Span = (0, 0)
"""The span of a column that belongs to no word: padding, special tokens, a template."""


@dataclass(frozen=True)
class PromptTokens:
    """A prompt as the attention's text columns hold it.

    Attributes:
        prompt: the text.
        tokens: piece j is column j of the attention; padding behind the last piece may be left out.
        spans: for each piece its (start, end) characters in the prompt; (0, 0) where it is of no word.
    """

    prompt: str
    tokens: tuple[str, ...]
    spans: tuple[Span, ...]


def placed(prompt: str, parts: Mapping[int, PromptTokens]) -> PromptTokens:
    """The columns of a sequence that is put together from several encoders' pieces, or begins behind others.

    Stable Diffusion 3 puts CLIP's 77 columns in front of T5's: ``placed(prompt, {0: clip, 77: t5})``.

    Args:
        prompt: the text.
        parts: the pieces by the column that their first one takes; columns between them are no word's.

    Raises:
        InputError: parts that overlap.
    """
    tokens: list[str] = []
    spans: list[Span] = []
    for column, part in sorted(parts.items()):
        gap = column - len(tokens)
        if gap < 0:
            raise InputError(f"pieces at column {column} overlap those in front, which end at column {len(tokens)}")
        tokens += [""] * gap + list(part.tokens)
        spans += [NOWHERE] * gap + list(part.spans)
    return PromptTokens(prompt, tuple(tokens), tuple(spans))


@dataclass(frozen=True)
class Conditioning:
    """Embedded prompts, one per batch row.

    Attributes:
        tensors: what the network takes, (batch, ...) each; the names are the family's own.
        tokens: per row, which text column of the attention holds which piece of the prompt.
        text_tokens: columns that the text takes in the attention.
        mask: (batch, text_tokens) bool, False where a column is padding that nothing may attend to; None: everything
            takes part.
    """

    tensors: Mapping[str, Tensor]
    tokens: tuple[PromptTokens, ...]
    text_tokens: int
    mask: Tensor | None = None

    @property
    def rows(self) -> int:
        """How many prompts there are."""
        return next(iter(self.tensors.values())).shape[0]

    def take(self, rows: Sequence[int]) -> Conditioning:
        """Some of the rows, in the order given."""
        chosen = list(rows)
        return Conditioning(
            {name: tensor[chosen] for name, tensor in self.tensors.items()},
            tuple(self.tokens[row] for row in chosen),
            self.text_tokens,
            None if self.mask is None else self.mask[chosen],
        )


def joined(parts: Sequence[Conditioning]) -> Conditioning:
    """The rows of several conditionings of one model and one number of text columns, one after another."""
    masks = [part.mask for part in parts if part.mask is not None]
    return Conditioning(
        {name: torch.cat([part.tensors[name] for part in parts]) for name in parts[0].tensors},
        tuple(row for part in parts for row in part.tokens),
        parts[0].text_tokens,
        torch.cat(masks) if masks else None,
    )
