"""Adaptive attention highlighting (arXiv 2505.04320, section 3.4).

While sampling, each of the chosen layers' map of the edited words is read; from one step's maps comes the mask of
the next, within which image tokens attend to the words more and outside of which they attend less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undrift.attention.columns import TextColumns
from undrift.attention.kernel import KernelName, Scaling, tapped_attention
from undrift.attention.maps import activation_maps, combined_mask
from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.flow import Step


@dataclass(frozen=True)
class HighlightSettings:
    """How the mask is made and what it does.

    Attributes:
        ranks: blocks [start, stop) by total activation whose maps are averaged.
        threshold: of the mean map.
        inside, outside: factors on the attention of image rows to the scaled columns.
        start_step: first step that is scaled; its mask comes from the step before.
        quantise: round the maps to 8 bits.
        renormalise: let the scaled rows sum to 1 again.
        kernel: see ``undrift.attention.kernel``.
    """

    ranks: tuple[int, int] = (10, 15)
    threshold: float = 0.3
    inside: float = 2.0
    outside: float = 0.8
    start_step: int = 4
    quantise: bool = False
    renormalise: bool = False
    kernel: KernelName = "auto"


class AdaptiveHighlight(AttentionTap):
    """Scales the attention to chosen words by a mask made from the attention itself.

    The mask is made once at the beginning of a step, from the last evaluation of the step before. A row whose mask
    is empty is left unscaled. One object serves one batch; a new trajectory starts it afresh.

    Args:
        map_columns: the words whose maps make the mask, per row of the batch.
        scaled_columns: the columns that are scaled, per row of the batch.
        sites: the layers, such as the ``map_sites`` of a backbone's capabilities; maps are ranked in this order.
        settings: see ``HighlightSettings``.
    """

    def __init__(
        self,
        map_columns: TextColumns,
        scaled_columns: TextColumns,
        sites: Sequence[Site],
        settings: HighlightSettings | None = None,
    ) -> None:
        self._map_columns = map_columns
        self._scaled_columns = scaled_columns
        self._sites = tuple(sites)
        self._settings = settings or HighlightSettings()
        self._raw: dict[Site, Tensor] = {}
        self._mask: Tensor | None = None
        self._scaling: Scaling | None = None
        self._reading = False

    @property
    def mask(self) -> Tensor | None:
        """The mask used last, (batch, image_tokens) of zeros and ones; None before the first."""
        return self._mask

    def wants(self, site: Site) -> bool:
        return site in self._sites

    @property
    def idle(self) -> bool:
        return not self._reading and self._scaling is None

    def begin(self, step: Step) -> None:
        if step.index == 0:
            self._mask = None
        self._scaling = self._next_scaling() if step.index >= self._settings.start_step and self._raw else None
        self._raw = {}
        self._reading = self._settings.start_step <= step.index + 1 < step.count

    def attend(
        self,
        site: Site,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        text_tokens: int,
        mask: Tensor | None = None,
    ) -> Tensor | None:
        if self.idle:
            return None
        self._map_columns = self._map_columns.to(query.device)
        out, weights = tapped_attention(
            query,
            key,
            value,
            text_tokens,
            mask=mask,
            read=self._map_columns if self._reading else None,
            scaling=self._scaling,
            kernel=self._settings.kernel,
        )
        if weights is not None:
            self._raw[site] = self._map_columns.mean(weights)
        return out

    def _next_scaling(self) -> Scaling | None:
        s = self._settings
        raw = [self._raw[site] for site in self._sites if site in self._raw]
        maps = activation_maps(torch.stack(raw), s.quantise)
        self._mask = combined_mask(maps, s.ranks, s.threshold)
        shown = self._mask.any(1, keepdim=True)
        if not shown.any():
            return None
        factors = torch.where(self._mask > 0, s.inside, s.outside)
        columns = self._scaled_columns.to(self._mask.device)
        return Scaling(torch.where(shown, factors, 1.0), columns, s.renormalise)
