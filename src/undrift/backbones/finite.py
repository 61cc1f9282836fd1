"""NaN and infinities that a model makes, said with what they come from: a damaged weight, or too narrow a format.

Weights are not searched for them when they are loaded: to read 24 GB costs as much as to load them, which maps files
into memory and reads them as they are used, and the samples that the weights' hash reads miss a single number. What
comes out is looked at instead, every time: prompts, latents, velocities and pictures are a few megabytes, and a
weight that is no number makes them none, or was not used. Only then are the weights searched, to name the one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from undrift.errors import ModelError


def is_finite(tensor: Tensor) -> bool:
    """Whether all its values are numbers; those of a tensor that has a shape alone are not looked at."""
    return tensor.is_meta or bool(tensor.isfinite().all())


def check_finite(value: Tensor, what: str, parts: Mapping[str, nn.Module], dtype: torch.dtype) -> None:
    """Check what parts of a model made.

    Args:
        value: any tensor.
        what: it is, for the message.
        parts: that made it, by their names in the pipeline.
        dtype: what they compute in.

    Raises:
        ModelError: it has values that are NaN or infinite; the message names the weight that is so too.
    """
    if not is_finite(value):
        raise ModelError(f"{what} came out as NaN or infinite: {_cause(parts, dtype)}")


@contextmanager
def finite_outputs(network: nn.Module, parts: Mapping[str, nn.Module], dtype: torch.dtype) -> Iterator[None]:
    """Within the block ``network``, of diffusers, checks each velocity that it returns, as ``check_finite`` does."""

    def check(_network: nn.Module, _arguments: Any, output: Any) -> None:
        check_finite(output[0], "a velocity", parts, dtype)

    hook = network.register_forward_hook(check)
    try:
        yield
    finally:
        hook.remove()


def _cause(parts: Mapping[str, nn.Module], dtype: torch.dtype) -> str:
    narrow = f"numbers leave the range of {dtype}, add --dtype bf16 or fp32".replace("torch.", "")
    for part, module in parts.items():
        for name, tensor in _readable(module):
            if is_finite(tensor):
                continue
            if dtype == torch.float16 and not bool(tensor.isnan().any()):
                return narrow  # it was a number before it was converted
            return f"weight '{name}' of the {part} is, so its file is damaged or was badly converted, get another"
    if dtype == torch.float16:
        return narrow
    return "no weight is, so try --dtype fp32, or other weights"


def _readable(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The weights that hold plain numbers: not those in fewer bits, nor what is somewhere else now."""
    plain = (Tensor, nn.Parameter)
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if type(tensor) in plain and tensor.is_floating_point() and not tensor.is_meta:
            yield name, tensor.detach()
