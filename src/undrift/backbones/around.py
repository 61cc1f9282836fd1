"""A backbone around another one: everything is the inner one's but for what a subclass says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from PIL import Image
from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.backbones.base import Backbone, Conditioning, Geometry, Latent, NetworkInputs


class Around(Backbone):
    """Hands on to ``backbone`` whatever it is asked; its counter is the inner one's, its taps and memory are its own.

    Args:
        backbone: the inner one.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self._inner = backbone
        self.counter, self.placement = backbone.counter, backbone.placement
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

    def sigmas(self, steps: int, geometry: Geometry) -> Tensor:
        return self._inner.sigmas(steps, geometry)

    @property
    def repeatable(self) -> bool:
        return self._inner.repeatable

    def turning(self) -> AbstractContextManager[None]:
        return self._inner.turning()

    def encode(self, images: Sequence[Image.Image]) -> Latent:
        return self._inner.encode(images)

    def decode(self, latent: Latent) -> list[Image.Image]:
        return self._inner.decode(latent)

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        return self._inner.embed(prompts)

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        return self._inner.network_inputs(conditioning, geometry, guidance)

    def part_of(self, inputs: NetworkInputs, tokens: Tensor) -> NetworkInputs:
        return self._inner.part_of(inputs, tokens)

    def guided(self, positive: Tensor, negative: Tensor, extra: Tensor) -> Tensor:
        return self._inner.guided(positive, negative, extra)

    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        return self._inner.tapped(*taps)

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        return self._inner.network(x, sigma, inputs)
