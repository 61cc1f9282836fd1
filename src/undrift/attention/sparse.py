"""Keys and values that an evaluation of all image tokens leaves to an evaluation of some of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from undrift.attention.kernel import attention
from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.errors import InputError


class SharedKeys(AttentionTap):
    """Lets some image tokens attend to the others as an evaluation of all of them left these.

    The evaluation of all comes first, within ``leaving()``. Of every row and layer it leaves the keys (after rotary
    embedding) and values of the tokens that are absent later. The evaluation of the others, within ``taking(row)``,
    joins them to its own, and they are gone: one evaluation's worth is kept, 2 * layers * absent tokens * width
    numbers per row. At other times the tap is idle.

    Where both have the same prompt and state, the tokens that are evaluated come out as in the evaluation of all but
    for rounding, since a softmax does not ask for the order of keys.

    Args:
        sites: every attention layer of the network.
        absent: per row of the batch the image tokens to leave out, (n,) int64 each.
    """

    def __init__(self, sites: Collection[Site], absent: Sequence[Tensor]) -> None:
        self._sites = frozenset(sites)
        self._absent = list(absent)
        self._kept: list[dict[Site, tuple[Tensor, Tensor]]] = [{} for _ in absent]
        self._leaving = False
        self._row: int | None = None

    @property
    def kept_bytes(self) -> int:
        """Bytes of the keys and values that nobody has taken yet."""
        return sum(part.nbytes for row in self._kept for pair in row.values() for part in pair)

    def wants(self, site: Site) -> bool:
        return site in self._sites

    @property
    def idle(self) -> bool:
        return not self._leaving and self._row is None

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """The evaluations within are of all tokens, and leave keys and values; the last one's count."""
        self._leaving = True
        try:
            yield
        finally:
            self._leaving = False

    @contextmanager
    def taking(self, row: int) -> Iterator[None]:
        """The evaluation within is of row ``row`` alone, without its absent tokens."""
        self._row = row
        try:
            yield
        finally:
            self._row = None

    def attend(
        self,
        site: Site,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        text_tokens: int,
        mask: Tensor | None = None,
    ) -> Tensor | None:
        if mask is not None:
            raise InputError("keys are shared between evaluations without padding only, and this model masks some")
        if self._row is not None:
            left = self._kept[self._row].pop(site)
            return attention(query, *(torch.cat(pair, dim=1) for pair in zip((key, value), left, strict=True)))
        for row, kept in enumerate(self._kept):
            self._absent[row] = self._absent[row].to(key.device)
            columns = text_tokens + self._absent[row]
            kept[site] = _taken(key, row, columns), _taken(value, row, columns)
        return None


def _taken(part: Tensor, row: int, columns: Tensor) -> Tensor:
    return part[row : row + 1].index_select(1, columns)
