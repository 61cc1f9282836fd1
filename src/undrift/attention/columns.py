"""Which text columns of the attention a row of the batch reads or scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undrift.errors import InputError


@dataclass(frozen=True)
class TextColumns:
    """Chosen text columns, each row of the batch its own.

    Rows with fewer columns are padded with column 0 at weight 0, so that one gather serves the batch and costs
    no more than the longest row.

    Attributes:
        rows: (batch, 1) int64, 0, 1, 2, ...: completes ``index`` to positions in a tensor.
        index: (batch, columns) int64, positions in the text sequence.
        weight: (batch, columns) float32, 1 for a chosen column, 0 for padding.
        share: ``weight`` divided by a row's number of columns, for means.
        stop: one past the largest position, so that a text that is too short is found without a device sync.
    """

    rows: Tensor
    index: Tensor
    weight: Tensor
    share: Tensor
    stop: int

    @staticmethod
    def of(rows: Sequence[Sequence[int]]) -> TextColumns:
        """The columns listed per row of the batch; a row may be empty, repetitions count once.

        Raises:
            InputError: no rows, or a negative column.
        """
        if not rows or any(column < 0 for row in rows for column in row):
            raise InputError(f"text columns are {list(rows)}, expected per batch row a list of numbers from 0")
        chosen = [sorted(set(row)) for row in rows]
        width = max(1, *map(len, chosen))
        index = torch.tensor([row + [0] * (width - len(row)) for row in chosen])
        weight = torch.tensor([[1.0] * len(row) + [0.0] * (width - len(row)) for row in chosen])
        share = weight / weight.sum(1, keepdim=True).clamp(min=1.0)
        return TextColumns(torch.arange(len(rows)).unsqueeze(1), index, weight, share, 1 + int(index.max()))

    @staticmethod
    def first(count: int, batch: int) -> TextColumns:
        """The first ``count`` columns for each of ``batch`` rows."""
        return TextColumns.of([range(count)] * batch)

    def to(self, device: torch.device) -> TextColumns:
        """The same columns on ``device`` (itself if it is there)."""
        if self.index.device == device:
            return self
        rows, index, weight, share = (t.to(device) for t in (self.rows, self.index, self.weight, self.share))
        return TextColumns(rows, index, weight, share, self.stop)

    def beside(self, others: TextColumns) -> TextColumns:
        """These columns, then ``others``; what both have comes twice."""
        pairs = (self.index, others.index), (self.weight, others.weight), (self.share, others.share)
        index, weight, share = (torch.cat(pair, dim=1) for pair in pairs)
        return TextColumns(self.rows, index, weight, share / 2.0, max(self.stop, others.stop))

    def gather(self, tensor: Tensor) -> Tensor:
        """The chosen positions of ``tensor`` (batch, sequence, heads, head_dim): (batch, heads, columns, head_dim).

        Raises:
            InputError: the tensor has another batch size than the columns.
        """
        if tensor.shape[0] != self.index.shape[0]:
            raise InputError(f"text columns for {self.index.shape[0]} rows met a batch of {tensor.shape[0]}")
        return tensor[self.rows, self.index].transpose(1, 2)

    def mean(self, weights: Tensor) -> Tensor:
        """Mean of ``weights`` (batch, heads, image_tokens, columns) over a row's columns and over the heads.

        Returns:
            (batch, image_tokens); zeros for a row without columns.
        """
        return (weights.mean(1) @ self.share.to(weights.dtype).unsqueeze(2)).squeeze(2)
