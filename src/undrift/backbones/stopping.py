"""Stopping work that does not go step by step: encoding a large picture, preparing a model, decoding a result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

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
def stoppable(check: Callable[[], None]) -> Iterator[None]:
    """Each layer of a network that this thread runs in the block, and each piece of a large one's attention (see
    ``in_pieces``), first calls ``check``, which raises to stop it."""
    here = threading.get_ident()

    def before(module: Any, arguments: Any) -> None:
        if threading.get_ident() == here:
            check()

    hook = register_module_forward_pre_hook(before)
    outer, _here.check = _here.check, check
    try:
        yield
    finally:
        _here.check = outer
        hook.remove()


def in_pieces(x: Tensor) -> AbstractContextManager[Any]:
    """Within the block the attention of a large state ``x`` (batch, tokens, channels) goes piece by piece.

    One layer over a photo of 12 megapixels takes many seconds on a processor, in which neither ``stoppable`` nor
    Ctrl-C could end it. Rows of attention do not depend on one another: the result is the same.
    """
    tokens = x.shape[1]
    return _Pieces() if x.device.type == "cpu" and tokens * tokens > WORK // 256 else nullcontext()


class _Pieces(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.scaled_dot_product_attention and not torch.compiler.is_compiling():
            return _attention(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **more: Any) -> Tensor:
    rows, plain = _rows(query, key), functional.scaled_dot_product_attention
    if rows >= query.shape[-2] or more.get("is_causal"):
        return plain(query, key, value, attn_mask=attn_mask, **more)
    of_rows = attn_mask is not None and attn_mask.shape[-2] > 1
    pieces = []
    for start in range(0, query.shape[-2], rows):
        if _here.check is not None:
            _here.check()
        mask = attn_mask[..., start : start + rows, :] if attn_mask is not None and of_rows else attn_mask
        pieces.append(plain(query[..., start : start + rows, :], key, value, attn_mask=mask, **more))
    return torch.cat(pieces, dim=-2)


def _rows(query: Tensor, key: Tensor) -> int:
    """How many rows of ``query`` (..., rows, width) are computed at once."""
    each = query[..., 0, :].numel() * key.shape[-2]
    return max(LEAST_ROWS, WORK // max(each, 1) // ROWS_AT_ONCE * ROWS_AT_ONCE)
