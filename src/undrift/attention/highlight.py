"""Adaptive attention highlighting (arXiv 2505.04320, section 3.4).

While sampling, each of the chosen layers' map of the edited words is read; from one step's maps comes the mask of
the next, within which image tokens attend to the words more and outside of which they attend less.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from undrift.attention.columns import TextColumns
from undrift.attention.kernel import KernelName, Scaling, tapped_attention
from undrift.attention.maps import activation_maps, combined_mask
from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.flow import Follower, Step


class HighlightSettings(BaseModel):
    """How the mask is made and what it does. A method that highlights has these among its own parameters."""

    model_config = ConfigDict(frozen=True)

    highlight_start: int = Field(4, ge=1, description="first sampling step whose attention is scaled")
    ranks: tuple[int, int] = Field((10, 15), description="blocks that make the mask, [start, stop) by activation")
    threshold: float = Field(0.3, ge=0, le=1, description="of the mean map, for the binary mask")
    inside: float = Field(2.0, ge=0, description="attention factor inside the mask")
    outside: float = Field(0.8, ge=0, description="attention factor outside the mask")
    quantise: bool = Field(False, description="round the maps to 8 bits, as maps kept in PNG files are")


class AdaptiveHighlight(Follower, AttentionTap):
    """Scales the attention to chosen words by a mask made from the attention itself.

    The mask is made once at the beginning of a step, from the last evaluation of the step before. A row whose mask
    is empty is left unscaled. One object serves one batch; a new trajectory starts it afresh.

    Args:
        map_columns: the words whose maps make the mask, per row of the batch.
        scaled_columns: the columns that are scaled, per row of the batch.
        sites: the layers, such as the ``map_sites`` of a backbone's capabilities; maps are ranked in this order.
        settings: see ``HighlightSettings``.
        kernel: see ``undrift.attention.kernel``.
    """

    def __init__(
        self,
        map_columns: TextColumns,
        scaled_columns: TextColumns,
        sites: Sequence[Site],
        settings: HighlightSettings | None = None,
        kernel: KernelName = "auto",
    ) -> None:
        self._map_columns = map_columns
        self._scaled_columns = scaled_columns
        self._sites = tuple(sites)
        self._settings = settings or HighlightSettings()
        self._kernel = kernel
        self._raw: dict[Site, Tensor] = {}
        self._mask: Tensor | None = None
        self._scaling: Scaling | None = None

    @property
    def mask(self) -> Tensor | None:
        """The mask used last, (batch, image_tokens) of zeros and ones; None before the first."""
        return self._mask

    def wants(self, site: Site) -> bool:
        return site in self._sites

    @property
    def idle(self) -> bool:
        return not self._reading and self._scaling is None

    @property
    def _reading(self) -> bool:
        return self._settings.highlight_start <= self.step.index + 1 < self.step.count

    def begin(self, step: Step) -> None:
        super().begin(step)
        if step.index == 0:
            self._mask = None
        self._scaling = self._next_scaling() if step.index >= self._settings.highlight_start and self._raw else None
        self._raw = {}

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
            kernel=self._kernel,
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
        return Scaling(torch.where(shown, factors, 1.0), columns)
