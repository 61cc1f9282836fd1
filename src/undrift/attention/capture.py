"""Reads the attention maps of chosen words without changing a bit of the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from undrift.attention.columns import TextColumns
from undrift.attention.kernel import tapped_attention
from undrift.attention.maps import activation_maps
from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.errors import InputError


class MapCapture(AttentionTap):
    """Keeps each layer's map of its latest evaluation.

    Args:
        columns: the words' text columns, per row of the batch.
        sites: the layers, such as the ``map_sites`` of a backbone's capabilities.
        quantise: round the maps to 8 bits.
    """

    def __init__(self, columns: TextColumns, sites: Sequence[Site], quantise: bool = False) -> None:
        self._columns = columns
        self._sites = tuple(sites)
        self._quantise = quantise
        self._raw: dict[Site, Tensor] = {}

    @property
    def sites(self) -> tuple[Site, ...]:
        """The layers seen so far, in the order they were given."""
        return tuple(site for site in self._sites if site in self._raw)

    @property
    def raw(self) -> Mapping[Site, Tensor]:
        """The weights behind the maps of the layers seen so far, (batch, image_tokens) each, of any resolution."""
        return dict(self._raw)

    @property
    def maps(self) -> Tensor:
        """(blocks, batch, image_tokens) in [0, 1], blocks in the order of ``sites``.

        Raises:
            InputError: nothing was captured yet.
        """
        if not self._raw:
            raise InputError("no attention map was captured: evaluate the field inside the backbone's tapped() block")
        return activation_maps(torch.stack([self._raw[site] for site in self.sites]), self._quantise)

    def wants(self, site: Site) -> bool:
        return site in self._sites

    def attend(
        self,
        site: Site,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        text_tokens: int,
        mask: Tensor | None = None,
    ) -> Tensor | None:
        self._columns = self._columns.to(query.device)
        out, weights = tapped_attention(query, key, value, text_tokens, mask=mask, read=self._columns)
        if weights is not None:
            self._raw[site] = self._columns.mean(weights)
        return out
