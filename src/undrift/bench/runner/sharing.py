"""Network evaluations that several methods have in common are computed once, and no method knows.

Two methods that invert the same picture with the same steps and prompts ask the network the same questions. A
`SharingBackbone` remembers the answers by what they depend on: the state's bits, sigma, prompts, guidance. Where an
attention tap is at work (not ``idle``), nothing is remembered or taken from memory. The pictures are the same bits
either way.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from PIL import Image
from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.backbones.base import Backbone, Conditioning, Geometry, Latent, NetworkInputs
from undrift.backbones.velocity import guidance_values
from undrift.flow import VelocityField

BUDGET = 512 * 2**20
"""Bytes of velocities that are remembered, in main memory."""

Key = tuple[object, ...]


class VelocityMemory:
    """The velocities used last, up to ``budget`` bytes.

    Attributes:
        taken: network evaluations that were answered from memory so far.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._kept: OrderedDict[Key, Tensor] = OrderedDict()
        self._bytes = 0
        self.taken = 0

    def get(self, key: Key) -> Tensor | None:
        """The velocity remembered for ``key``."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: Key, velocity: Tensor) -> None:
        """Remember a velocity, and forget those not used for longest."""
        kept = velocity.detach().to("cpu", copy=True)
        known = self._kept.pop(key, None)
        self._bytes += kept.nbytes - (0 if known is None else known.nbytes)
        self._kept[key] = kept
        while self._bytes > self._budget:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes


class SharingBackbone(Backbone):
    """A backbone whose velocity fields ask ``memory`` first.

    Its counter is that of the backbone inside, which counts what was answered from memory as well: a turn costs what
    it asks for.
    """

    def __init__(self, backbone: Backbone, memory: VelocityMemory) -> None:
        super().__init__()
        self._inner = backbone
        self.counter = backbone.counter
        self.memory = memory
        self.identity, self.capabilities, self.tuned = backbone.identity, backbone.capabilities, backbone.tuned

    @property
    def sites(self) -> tuple[Site, ...]:
        return self._inner.sites

    def geometry(self, size: tuple[int, int]) -> Geometry:
        return self._inner.geometry(size)

    def feature_bytes(self, site: Site, geometry: Geometry) -> int:
        return self._inner.feature_bytes(site, geometry)

    def state_bytes(self, geometry: Geometry) -> int:
        return self._inner.state_bytes(geometry)

    def encode(self, images: Sequence[Image.Image]) -> Latent:
        return self._inner.encode(images)

    def decode(self, latent: Latent) -> list[Image.Image]:
        return self._inner.decode(latent)

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        return self._inner.embed(prompts)

    def sigmas(self, steps: int, geometry: Geometry) -> Tensor:
        return self._inner.sigmas(steps, geometry)

    @property
    def repeatable(self) -> bool:
        return self._inner.repeatable

    def turning(self) -> AbstractContextManager[None]:
        return self._inner.turning()

    def velocity_field(
        self,
        conditioning: Conditioning,
        geometry: Geometry,
        guidance: float | Sequence[float],
        negative: Conditioning | None = None,
    ) -> VelocityField:
        field = self._inner.velocity_field(conditioning, geometry, guidance, negative)
        values = guidance_values(guidance, conditioning.rows)
        prompts = tuple(_prompts_key(given) for given in (conditioning, negative) if given is not None)
        return _SharedField(self, field, values, (*prompts, geometry, values))

    def evaluate(self, x: Tensor, sigma: float, inputs: NetworkInputs, *, tapped: bool = True) -> Tensor:
        # The taps, and which branch they see, are the inner backbone's business.
        return self._inner.evaluate(x, sigma, inputs, tapped=tapped)

    def guided(self, positive: Tensor, negative: Tensor, extra: Tensor) -> Tensor:
        return self._inner.guided(positive, negative, extra)

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        return self._inner.network_inputs(conditioning, geometry, guidance)

    def part_of(self, inputs: NetworkInputs, tokens: Tensor) -> NetworkInputs:
        return self._inner.part_of(inputs, tokens)

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        return self._inner.network(x, sigma, inputs)

    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        return self._inner.tapped(*taps)


class _SharedField:
    """A velocity field with a memory."""

    def __init__(self, backbone: SharingBackbone, field: VelocityField, guidance: Sequence[float], key: Key) -> None:
        self.parts = (field,)
        self._backbone, self._field, self._key = backbone, field, key
        self._calls = backbone.capabilities.calls_per_velocity(guidance)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        taps = self._backbone.taps
        if not (self._backbone.repeatable and all(tap.idle for tap in taps)):
            return self._field(x, sigma)
        memory, key = self._backbone.memory, (*self._key, digest(x), float(sigma))
        found = memory.get(key)
        if found is None:
            velocity = self._field(x, sigma)
            memory.put(key, velocity)
            return velocity
        for tap in taps:
            tap.evaluation(sigma)
        self._backbone.counter.add(x.shape[0], self._calls, tokens=x.shape[1])
        memory.taken += self._calls
        return found.to(x.device, copy=True)


def _prompts_key(conditioning: Conditioning) -> bytes:
    mask = () if conditioning.mask is None else (conditioning.mask,)
    return digest(*(conditioning.tensors[name] for name in sorted(conditioning.tensors)), *mask)


def digest(*tensors: Tensor) -> bytes:
    """A hash of shapes, types and contents."""
    state = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        state.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        state.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return state.digest()
