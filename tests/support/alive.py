"""The bytes that a forward holds at once, counted without memory or arithmetic: for networks of published size."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the storages that operations make while it is on, until they are freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.count(tensor)
        self.most = max(self.most, self.now)
        return out

    def count(self, tensor: torch.Tensor, size: int | None = None) -> None:
        """Count a tensor's storage, once; as ``size`` bytes where that is given."""
        storage = tensor.untyped_storage()
        if (key := storage._cdata) not in self._sizes:
            self._sizes[key] = storage.nbytes() if size is None else size
            self.now += self._sizes[key]
            weakref.finalize(storage, self._freed, key)

    def _freed(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def most_alive(make: Callable[[], Any], inputs: Callable[[], Mapping[str, Any]], dtype: torch.dtype) -> int:
    """Bytes that one forward holds at once on top of the weights and of what it is given."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with FakeTensorMode(), torch.no_grad():
            network, given = make().eval(), inputs()
            counted = Alive()
            for tensor in (*network.parameters(), *network.buffers(), *given.values()):
                counted.count(tensor, 0)
            with counted:
                network(**given)
            return counted.most
    finally:
        torch.set_default_dtype(before)
