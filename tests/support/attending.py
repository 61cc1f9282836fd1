"""A model whose layers attend to the prompt where they are told to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import isqrt

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from tests.support.toy import ToyBackbone
from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.backbones.base import Conditioning, Geometry, NetworkInputs

SIGHTED, BLIND, COARSE, IMAGE = Site("double", 0), Site("double", 1), Site("cross", 0), Site("self", 0)
STRENGTH = 3.0


class Attending(ToyBackbone):
    """Beside the toy's network, layers whose image tokens attend to the prompt's one token where ``masks`` says.

    The score of a token in the mask is ``STRENGTH``, that of others and of every image key 0.
    """

    def __init__(self, masks: dict[str, Tensor]) -> None:
        super().__init__()
        self.masks = masks
        self.reading: tuple[AttentionTap, ...] = ()
        self.capabilities = replace(self.capabilities, map_sites=(SIGHTED, BLIND))

    @property
    def sites(self) -> tuple[Site, ...]:
        return SIGHTED, BLIND, COARSE, IMAGE

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        seen = torch.stack([self.masks[tokens.prompt] for tokens in conditioning.tokens])
        return {**super().network_inputs(conditioning, geometry, guidance), "seen": seen}

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        seen = inputs["seen"].float()
        side = isqrt(seen.shape[1])
        coarse = max_pool2d(seen.reshape(-1, 1, side, side), 2).flatten(1)
        for site, scores, text in ((SIGHTED, seen, 1), (BLIND, 0 * seen, 1), (COARSE, coarse, 1), (IMAGE, seen, 0)):
            for tap in self.reading:
                query, key = (torch.zeros(len(x), text + scores.shape[1], 1, 1) for _ in range(2))
                query[:, text:, 0, 0], key[:, :text] = STRENGTH * scores, 1.0
                tap.attend(site, query, key, torch.zeros_like(key), text)
        return super().network(x, sigma, inputs)

    @contextmanager
    def installed(self, *taps: AttentionTap) -> Iterator[None]:
        self.reading = taps
        yield
        self.reading = ()
