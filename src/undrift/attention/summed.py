"""Attention maps of chosen words, summed over layers and steps: where in the picture the words are."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional

from undrift.attention.columns import TextColumns
from undrift.attention.kernel import tapped_attention
from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap


class WordMaps:
    """The mean attention that image tokens pay to each row's words, summed over everything seen so far.

    Args:
        columns: the words' text columns, per row of the batch; a row without any has no map.
    """

    def __init__(self, columns: TextColumns) -> None:
        self._columns = columns
        self._sum: Tensor | None = None

    @property
    def columns(self) -> TextColumns:
        return self._columns

    @property
    def named(self) -> Tensor:
        """(batch,) bool: the rows that have words."""
        return self._columns.weight.sum(1) > 0

    def add(self, weights: Tensor) -> None:
        """Add a layer's ``weights`` (batch, heads, image_tokens, columns) on ``columns``."""
        seen = self._columns.mean(weights)
        self._sum = seen if self._sum is None else self._sum + seen

    def summed(self) -> Tensor | None:
        """(batch, image_tokens), None before the first layer was seen."""
        return self._sum

    def near_the_largest(self, grid: tuple[int, int], threshold: float) -> Tensor | None:
        """Tokens whose map, the largest of 3 x 3, reaches ``threshold`` of the row's largest: (batch, image_tokens)
        bool. None before the first layer was seen; False throughout where a row has no words, True throughout where
        nothing looks at them.

        Source: Hertz et al. 2022, arXiv 2208.01626, section 4 ("local blend"), with the constants of its released
        code.
        """
        if self._sum is None:
            return None
        wide = functional.max_pool2d(self._sum.reshape(-1, 1, *grid), 3, 1, 1).flatten(1)
        largest = wide.amax(1, keepdim=True)
        return (wide >= threshold * largest) & self.named.to(wide.device).unsqueeze(1)

    def stretched_above(self, threshold: float) -> Tensor | None:
        """Tokens whose map, stretched to [0, 1] per row, reaches ``threshold``: (batch, image_tokens) bool, None
        before the first layer was seen.

        Source: Cao et al. 2023, arXiv 2304.08465, section 3.3.
        """
        if self._sum is None:
            return None
        low, high = self._sum.amin(1, keepdim=True), self._sum.amax(1, keepdim=True)
        stretched = torch.where(high > low, (self._sum - low) / (high - low), 0.0)
        return stretched >= threshold


class SumMaps(AttentionTap):
    """Fills ``WordMaps`` and changes no bit.

    Args:
        maps: to fill.
        sites: the layers, of the resolution that the maps are wanted in.
    """

    def __init__(self, maps: WordMaps, sites: Collection[Site]) -> None:
        self._maps = maps
        self._sites = frozenset(sites)

    def wants(self, site: Site) -> bool:
        return site in self._sites

    def attend(
        self, site: Site, query: Tensor, key: Tensor, value: Tensor, text_tokens: int, mask: Tensor | None = None
    ) -> Tensor | None:
        columns = self._maps.columns.to(query.device)
        out, weights = tapped_attention(query, key, value, text_tokens, mask=mask, read=columns)
        if weights is not None:
            self._maps.add(weights)
        return out
