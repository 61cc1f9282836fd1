"""Attention written out in float64, row by row, as the oracle of every kernel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def qkv(
    batch: int, sequence: int, heads: int = 2, head_dim: int = 16, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Float64 query, key and value (batch, sequence, heads, head_dim) with peaked attention."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, batch, sequence, heads, head_dim, generator=generator, dtype=torch.float64)
    return 2 * query, key, value


def softmax_matrix(query: Tensor, key: Tensor) -> Tensor:
    """(batch, heads, sequence, sequence)."""
    scores: Tensor = torch.einsum("bihd,bjhd->bhij", query.double(), key.double()) / query.shape[-1] ** 0.5
    return scores.softmax(-1)


def highlighted(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    text_tokens: int,
    factors: Tensor,
    columns: Sequence[Sequence[int]],
    renormalise: bool = False,
) -> Tensor:
    """softmax(q k^T) with image rows x chosen columns multiplied by the row's factor, times v."""
    matrix = softmax_matrix(query, key)
    for row, chosen in enumerate(columns):
        for column in chosen:
            matrix[row, :, text_tokens:, column] *= factors[row].double()
    if renormalise:
        matrix = matrix / matrix.sum(-1, keepdim=True)
    out: Tensor = torch.einsum("bhij,bjhd->bihd", matrix, value.double())
    return out
