"""Stores queries, keys and values of one pass and puts them into another.

FireFlow (arXiv 2412.07517) and RF-Solver (arXiv 2411.04746) keep the values of single blocks from the inversion
and use them in the sampling steps of the same intervals; Stable Flow (arXiv 2411.14430) shares keys and values
between the rows of one batch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap, Projections
from undrift.errors import InputError
from undrift.flow import Follower

Part = Literal["query", "key", "value"]
Stage = Literal["end", "midpoint"]
Operation = Literal["replace", "add"]
FeatureKey = tuple[int, Stage, Site, Part]
"""``(Step.interval, stage, site, part)``: the same for inversion and sampling of one grid.

The stage is an end of the interval, whichever, or its middle: no solver that shares features evaluates at both ends
of a step.
"""


class FeatureStore:
    """Features in memory: on their device up to a budget, beyond it on the CPU.

    Args:
        budget_bytes: how much may stay on the device; None: everything.
    """

    def __init__(self, budget_bytes: int | None = None) -> None:
        self._budget = budget_bytes
        self._features: dict[FeatureKey, Tensor] = {}
        self._kept: dict[FeatureKey, int] = {}

    def __len__(self) -> int:
        return len(self._features)

    @property
    def device_bytes(self) -> int:
        """Bytes kept on the device that the features were computed on."""
        return sum(self._kept.values())

    def put(self, key: FeatureKey, tensor: Tensor) -> None:
        """Keep ``tensor``; what lay at ``key`` before is dropped."""
        self._kept.pop(key, None)
        fits = self._budget is None or self.device_bytes + tensor.nbytes <= self._budget
        if fits:
            self._kept[key] = tensor.nbytes
        # A slice would keep alive all of the tensor it was cut from.
        whole = tensor.untyped_storage().nbytes() == tensor.nbytes
        self._features[key] = tensor.detach().to(tensor.device if fits else "cpu", copy=not whole)

    def get(self, key: FeatureKey, device: torch.device) -> Tensor | None:
        """The feature on ``device``, or None if it was never stored."""
        tensor = self._features.get(key)
        return None if tensor is None else tensor.to(device)


class _StagedTap(Follower, AttentionTap):
    """Knows the interval and the stage of each evaluation, and acts at chosen sites in chosen intervals."""

    def __init__(self, sites: Collection[Site], intervals: Collection[int], image_only: bool) -> None:
        self._sites = frozenset(sites)
        self._intervals = intervals
        self._image_only = image_only
        self._stage: Stage = "end"

    def wants(self, site: Site) -> bool:
        return site in self._sites

    @property
    def idle(self) -> bool:
        return self.step.interval not in self._intervals

    def evaluation(self, sigma: float) -> None:
        ends = self.step.sigma, self.step.sigma_next
        quarter = abs(ends[1] - ends[0]) / 4.0
        self._stage = "end" if min(abs(sigma - end) for end in ends) < quarter else "midpoint"

    def key(self, site: Site, part: Part) -> FeatureKey | None:
        """Where the running evaluation's feature belongs; None outside the chosen intervals."""
        return None if self.idle else (self.step.interval, self._stage, site, part)

    def start(self, projections: Projections) -> int:
        """First token of the sequence that this tap deals with."""
        return projections.text_tokens if self._image_only else 0


class StoreFeatures(_StagedTap):
    """Stores projections (after QK normalisation, before rotary embedding) for ``InjectFeatures``.

    Args:
        store: where to.
        sites: at which layers.
        parts: which of query, key and value.
        intervals: in which intervals, numbered from the noise end (``Step.interval``).
        image_only: leave the text's tokens out.
    """

    def __init__(
        self,
        store: FeatureStore,
        sites: Collection[Site],
        parts: Collection[Part],
        intervals: Collection[int],
        image_only: bool = False,
    ) -> None:
        super().__init__(sites, intervals, image_only)
        self._store = store
        self._parts = tuple(parts)

    def project(self, site: Site, projections: Projections) -> Projections:
        for part in self._parts:
            key = self.key(site, part)
            if key is not None:
                self._store.put(key, getattr(projections, part)[:, self.start(projections) :])
        return projections


class InjectFeatures(_StagedTap):
    """Replaces projections by stored ones, or adds these to them. Where nothing was stored the layer runs clean.

    Args:
        store: where from.
        sites: at which layers.
        operations: what to do with query, key and value; those not named are left alone.
        intervals: in which intervals, numbered from the noise end (``Step.interval``).
        image_only: as it was when storing.
    """

    def __init__(
        self,
        store: FeatureStore,
        sites: Collection[Site],
        operations: Mapping[Part, Operation],
        intervals: Collection[int],
        image_only: bool = False,
    ) -> None:
        super().__init__(sites, intervals, image_only)
        self._store = store
        self._operations = dict(operations)

    def project(self, site: Site, projections: Projections) -> Projections:
        changed: dict[str, Any] = {}
        for part, operation in self._operations.items():
            key = self.key(site, part)
            own: Tensor = getattr(projections, part)
            stored = None if key is None else self._store.get(key, own.device)
            if stored is not None:
                changed[part] = _injected(own, stored, operation, self.start(projections))
        return replace(projections, **changed) if changed else projections


def _injected(own: Tensor, stored: Tensor, operation: Operation, start: int) -> Tensor:
    rest = own[:, start:]
    if stored.shape != rest.shape:
        raise InputError(f"stored features have shape {tuple(stored.shape)}, this pass needs {tuple(rest.shape)}")
    taken = stored.to(own.dtype) if operation == "replace" else rest + stored.to(own.dtype)
    return torch.cat([own[:, :start], taken], dim=1)


class ShareRows(AttentionTap):
    """Gives each row of the batch the image keys and values of another; text tokens keep their own.

    Args:
        sites: at which layers.
        sources: per row the row it takes from; a row that keeps its own names itself. Stable Flow edits rows
            1, 2, ... of a batch whose row 0 is the source with ``sources=(0, 0, 0, ...)``.
    """

    def __init__(self, sites: Collection[Site], sources: Sequence[int]) -> None:
        last = len(sources) - 1
        if any(not 0 <= source <= last for source in sources):
            raise InputError(f"sources are {tuple(sources)}, expected for each row a row from 0 to {last}")
        self._sites = frozenset(sites)
        self._sources = torch.tensor(sources, dtype=torch.int64)

    def wants(self, site: Site) -> bool:
        return site in self._sites

    def project(self, site: Site, projections: Projections) -> Projections:
        if projections.key.shape[0] != len(self._sources):
            raise InputError(f"sources for {len(self._sources)} rows met a batch of {projections.key.shape[0]}")
        self._sources = self._sources.to(projections.key.device)
        key, value = (self._shared(t, projections.text_tokens) for t in (projections.key, projections.value))
        return replace(projections, key=key, value=value)

    def _shared(self, tensor: Tensor, text_tokens: int) -> Tensor:
        return torch.cat([tensor[:, :text_tokens], tensor[self._sources, text_tokens:]], dim=1)
