"""Stopping work that does not go step by step: encoding a large picture, preparing a model, decoding a result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.modules.module import register_module_forward_pre_hook


@contextmanager
def stoppable(check: Callable[[], None]) -> Iterator[None]:
    """Each layer of a network that this thread runs in the block first calls ``check``, which raises to stop it."""
    here = threading.get_ident()

    def before(module: Any, arguments: Any) -> None:
        if threading.get_ident() == here:
            check()

    hook = register_module_forward_pre_hook(before)
    try:
        yield
    finally:
        hook.remove()
