"""Tensors of a device that has no float64, as Apple's GPUs are: what would make one of them raises."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class NoDoubles(torch.Tensor):
    """On the CPU in truth, until ``cpu`` or ``to("cpu")`` brings it there."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
        if not isinstance(made, NoDoubles):
            return made
        if func is Tensor.cpu or (func is Tensor.to and args[1:2] == ("cpu",)):
            return made.as_subclass(Tensor)
        if made.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype: the framework doesn't support float64")
        return made


def without_doubles(tensor: Tensor) -> Tensor:
    """A tensor on such a device."""
    return tensor.as_subclass(NoDoubles)
