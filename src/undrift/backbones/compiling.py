"""Compiles a network's blocks, each kind once, and keeps what taps do out of the graphs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from undrift.backbones.processors import TappedProcessor
from undrift.errors import ModelError

GRAPHS = 64
"""Versions of one kind of block: with and without taps, of each size of picture and of batch. torch stops at 8, and
runs the rest as it is."""


def compile_blocks(network: Any, **options: Any) -> None:
    """Compile the blocks that a network of diffusers repeats, all of a kind by one graph.

    They are compiled when they run first, which takes seconds to minutes. A block that has taps is two graphs, around
    its attention, whatever the taps and words: the taps themselves are Python and stay outside.

    Args:
        network: a model of diffusers.
        options: of ``torch.compile``.

    Raises:
        ModelError: diffusers does not say which blocks it repeats.
    """
    import torch._dynamo

    kinds = getattr(network, "_repeated_blocks", None) or _repeated(network)
    blocks = [part for part in network.modules() if type(part).__name__ in kinds]
    if not blocks:
        raise ModelError(f"the blocks of {type(network).__name__} are not known, and cannot be compiled")
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, GRAPHS)
    keep_taps_out()
    for block in blocks:
        block.compile(**options)


def keep_taps_out() -> None:
    """Have compiled blocks call their tapped processors as they are, from now on in this process."""
    import torch

    for cls in _all(TappedProcessor):
        call = cls.__dict__.get("__call__")
        if call is not None and not hasattr(call, "_torchdynamo_disable"):
            cls.__call__ = torch.compiler.disable(call)  # type: ignore[no-untyped-call]


def is_compiled(network: Any) -> bool:
    """Whether somebody compiled a part of a network."""
    return any(part._compiled_call_impl is not None for part in network.modules())


def _all(cls: type) -> Iterator[type[Any]]:
    derived: type[Any]
    for derived in cls.__subclasses__():
        yield derived
        yield from _all(derived)


def _repeated(network: Any) -> set[str]:
    """The classes of the modules in the network's lists of several, where diffusers does not name them."""
    import torch

    lists = [part for part in network.children() if isinstance(part, torch.nn.ModuleList)]
    return {type(block).__name__ for blocks in lists if len(blocks) > 1 for block in blocks}
