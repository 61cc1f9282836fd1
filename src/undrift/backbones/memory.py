"""Velocities that were computed before: the same question is not asked of a network twice, and nobody can tell.

A question is everything that a velocity depends on: the state's bits, sigma, prompts, guidance. A model with a memory
(``Backbone.memory``) looks there first, so methods that invert the same picture with the same steps share the work,
and what a next turn is sure to ask can be computed before it is asked for (``undrift.session.ahead``).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import torch
from torch import Tensor

from undrift.backbones.conditioning import Conditioning

BUDGET = 512 * 2**20
"""Bytes of velocities that are remembered, in main memory."""

Key = tuple[object, ...]


class VelocityMemory:
    """The velocities used last, up to ``budget`` bytes, all of one model.

    Attributes:
        budget: in bytes.
        held: bytes held now.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self.held = 0
        self._kept: OrderedDict[Key, Tensor] = OrderedDict()

    def get(self, key: Key) -> Tensor | None:
        """The velocity remembered for ``key``, in main memory."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: Key, velocity: Tensor) -> None:
        """Remember a velocity, and forget those not used for longest."""
        kept = velocity.detach().to("cpu", copy=True)
        known = self._kept.pop(key, None)
        self.held += kept.nbytes - (0 if known is None else known.nbytes)
        self._kept[key] = kept
        while self.held > self.budget:
            self.held -= self._kept.popitem(last=False)[1].nbytes


def digest(*tensors: Tensor) -> bytes:
    """A hash of shapes, types and contents."""
    state = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        state.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        state.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return state.digest()


def prompts_digest(conditioning: Conditioning) -> bytes:
    """A hash of what a network is told of the prompts."""
    mask = () if conditioning.mask is None else (conditioning.mask,)
    return digest(*(conditioning.tensors[name] for name in sorted(conditioning.tensors)), *mask)
