"""Mutual self-attention (MasaCtrl, arXiv 2304.08465): queries of one row, keys and values of another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from math import isqrt

import torch
from torch import Tensor
from torch.nn import functional

from undrift.attention.kernel import attention
from undrift.attention.sites import Site
from undrift.attention.summed import WordMaps
from undrift.attention.taps import AttentionTap, Projections
from undrift.flow import Follower, Step


class MutualAttention(Follower, AttentionTap):
    """In a batch of R targets and then their R sources, gives the targets the image keys and values of the sources.

    Tokens of the text keep their own. With ``maps``, image tokens of the target where its words are attend only to
    those of the source where its words are, and the others only to the others.

    Args:
        sites: at which layers.
        start_step: from which step on.
        maps: of targets and sources, from which the masks are made; None attends to all of the source.
        grid: (rows, columns) of the maps.
        threshold: see ``WordMaps.stretched_above``.
    """

    both_branches = True

    def __init__(
        self,
        sites: Collection[Site],
        start_step: int,
        maps: WordMaps | None = None,
        grid: tuple[int, int] = (1, 1),
        threshold: float = 0.1,
    ) -> None:
        self._sites, self._start = frozenset(sites), start_step
        self._maps, self._grid, self._threshold = maps, grid, threshold
        self._mask: Tensor | None = None

    def wants(self, site: Site) -> bool:
        return site in self._sites

    @property
    def _active(self) -> bool:
        return self.step.index >= self._start

    def begin(self, step: Step) -> None:
        super().begin(step)
        # Of the steps before, so that all layers of a step have the same.
        self._mask = None if self._maps is None else self._maps.stretched_above(self._threshold)

    def project(self, site: Site, projections: Projections) -> Projections:
        if not self._active:
            return projections
        key, value = (_from_sources(t, projections.text_tokens) for t in (projections.key, projections.value))
        return replace(projections, key=key, value=value)

    def attend(
        self, site: Site, query: Tensor, key: Tensor, value: Tensor, text_tokens: int, mask: Tensor | None = None
    ) -> Tensor | None:
        if not self._active or self._mask is None or self._maps is None:
            return None
        allowed = self._allowed(query.shape[1] - text_tokens).to(query.device)
        # The text in front attends to all and is attended to by all.
        allowed = functional.pad(allowed, (text_tokens, 0, text_tokens, 0), value=True).unsqueeze(1)
        if mask is not None:
            allowed = allowed & mask if mask.dtype == torch.bool else torch.where(allowed, mask, -torch.inf)
        return attention(query, key, value, allowed)

    def _allowed(self, tokens: int) -> Tensor:
        """(batch, tokens, tokens): which image tokens may attend to which; everything for the sources."""
        assert self._mask is not None
        assert self._maps is not None
        places = _resized(self._mask, self._grid, tokens)
        targets, sources = places.chunk(2)
        same = targets.unsqueeze(2) == sources.unsqueeze(1)
        # Without words on either side, or with all or nothing of the source under its mask, there is no telling.
        named = self._maps.named.to(places.device).chunk(2)
        told = named[0] & named[1] & sources.any(1) & ~sources.all(1)
        same = same | ~told[:, None, None]
        return torch.cat([same, torch.ones_like(same)])


def _from_sources(tensor: Tensor, text_tokens: int) -> Tensor:
    image = tensor[:, text_tokens:]
    sources = image.chunk(2)[1]
    return torch.cat([tensor[:, :text_tokens], torch.cat([sources, sources])], dim=1)


def _resized(mask: Tensor, grid: tuple[int, int], tokens: int) -> Tensor:
    """``mask`` (batch, grid) at a layer of another resolution of the same shape, (batch, tokens)."""
    rows, columns = grid
    factor = tokens / (rows * columns)
    size = (isqrt(round(rows * rows * factor)), isqrt(round(columns * columns * factor)))
    if size == grid:
        return mask
    return functional.interpolate(mask.reshape(-1, 1, *grid).float(), size=size, mode="nearest").flatten(1) > 0
