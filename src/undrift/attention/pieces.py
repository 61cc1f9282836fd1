"""Large attention on a processor, some rows at a time, so that whoever wants it ended need not wait for all of them.

One layer over a photo of 12 megapixels takes many seconds on a processor. Rows of attention do not depend on one
another: the result is the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

WORK = 5 * 10**9
"""Products that a piece of one layer's attention takes on a processor: a fraction of a second."""
LEAST_ROWS = 768
"""Of a piece: from here on PyTorch's kernel divides the rows as it does those of the whole."""
ROWS_AT_ONCE = 256
"""Into which it divides them; a piece is a multiple of it, so that its rows come out as those of the whole."""


class _Here(threading.local):
    check: Callable[[], None] | None = None


_here = _Here()


@contextmanager
def asking(check: Callable[[], None]) -> Iterator[None]:
    """Before each piece that this thread computes in the block, ``check`` is called, which raises to stop it."""
    outer, _here.check = _here.check, check
    try:
        yield
    finally:
        _here.check = outer


def is_large(query: Tensor, key: Tensor) -> bool:
    """Whether attention of ``query`` (..., rows, width) to ``key`` is more than a piece."""
    return _rows(query, key) < query.shape[-2]


def pieces(query: Tensor, key: Tensor, mask: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The queries (..., rows, width) piece by piece, each with its part of ``mask``; a small one comes whole.

    ``mask`` is None, or has a row for each query, or one for all.
    """
    every, rows = query.shape[-2], _rows(query, key)
    of_rows = mask is not None and mask.shape[-2] > 1
    starts = range(0, max(every - LEAST_ROWS + 1, 1), rows)  # a rest that is too short belongs to the one before
    for start in starts:
        if _here.check is not None:
            _here.check()
        wanted = slice(start, every if start == starts[-1] else start + rows)
        yield query[..., wanted, :], mask[..., wanted, :] if mask is not None and of_rows else mask


def joined(made: Sequence[Tensor]) -> Tensor:
    """The pieces (batch, heads, rows, width) as one, a token's heads side by side in memory.

    That is how PyTorch's kernel leaves the whole: what comes next takes it for (batch, rows, heads * width) without a
    copy.
    """
    return torch.cat([piece.transpose(1, 2) for piece in made], dim=1).transpose(1, 2)


def _rows(query: Tensor, key: Tensor) -> int:
    """How many rows of ``query`` (..., rows, width) are computed at once."""
    each = query[..., 0, :].numel() * key.shape[-2]
    return max(LEAST_ROWS, WORK // max(each, 1) // ROWS_AT_ONCE * ROWS_AT_ONCE)
