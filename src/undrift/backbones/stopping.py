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

from undrift.attention import pieces


@contextmanager
def stoppable(check: Callable[[], None]) -> Iterator[None]:
    """Each layer of a network that this thread runs in the block, and each piece of a large one's attention (see
    ``in_pieces``), first calls ``check``, which raises to stop it."""
    here = threading.get_ident()

    def before(module: Any, arguments: Any) -> None:
        if threading.get_ident() == here:
            check()

    hook = register_module_forward_pre_hook(before)
    try:
        with pieces.asking(check):
            yield
    finally:
        hook.remove()


def in_pieces(x: Tensor) -> AbstractContextManager[Any]:
    """Within the block the attention of a large state ``x`` (batch, tokens, channels) goes piece by piece.

    Otherwise neither ``stoppable`` nor Ctrl-C could end it within its layer. Attention that is tapped goes so anyway.
    """
    tokens = x.shape[1]
    return _Pieces() if x.device.type == "cpu" and tokens * tokens > pieces.WORK // 256 else nullcontext()


class _Pieces(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.scaled_dot_product_attention and not torch.compiler.is_compiling():
            return _attention(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **more: Any) -> Tensor:
    plain = functional.scaled_dot_product_attention
    if more.get("is_causal") or not pieces.is_large(query, key):
        return plain(query, key, value, attn_mask=attn_mask, **more)
    made = [plain(rows, key, value, attn_mask=mask, **more) for rows, mask in pieces.pieces(query, key, attn_mask)]
    return pieces.joined(made)
