"""Which layers' attention shows where an edit is: the block study of arXiv 2505.04320 (section 3.4), with true masks.

The picture before a turn is noised to some sigma, and the network evaluated once on it with the prompt that is aimed
at, as in the sampling step whose maps highlighting reads. Of every layer in which the picture attends to the prompt
four numbers are taken, of the words that are new:

- attention: the weight that an image token gives them, mean over tokens, heads and words;
- activation: the mean of the map made of it (``activation_maps``), which the paper ranks blocks by;
- overlap: intersection over union of the true mask and the tokens whose map reaches the threshold;
- overlap at size: the same of as many of the highest tokens as the mask has, for which no threshold is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from undrift.attention.capture import MapCapture
from undrift.attention.columns import TextColumns
from undrift.attention.maps import activation_maps, combined_mask
from undrift.attention.sites import Site
from undrift.attention.words import changed_columns, word_columns
from undrift.backbones.base import Backbone, Conditioning, Geometry
from undrift.bench.case import Case, Mask, Task
from undrift.bench.statistics import Estimate, Matrix, mean_of
from undrift.errors import InputError, ModelError
from undrift.flow import interpolate
from undrift.methods.base import seeded_noise
from undrift.methods.multi_turn import MultiTurnParams
from undrift.session.region import per_token

SIGMAS = (0.75, 0.5, 0.25)
MEASURES = ("attention", "activation", "overlap", "overlap_at_size")
TOGETHER, WHOLE = "together", "whole picture"
"""Rows beside those of single layers: the mask that ``multi_turn`` makes of its layers, and one of every token, whose
overlap at size is that of tokens drawn at random."""


@dataclass(frozen=True)
class SiteRow:
    """What one layer shows, over all turns; the measures are those of the module, NaN where a row has none.

    Attributes:
        name: the site, ``TOGETHER`` or ``WHOLE``.
        makes_maps: whether the model's family takes it for maps.
    """

    name: str
    makes_maps: bool
    attention: Estimate
    activation: Estimate
    overlap: Estimate
    overlap_at_size: Estimate


@dataclass(frozen=True)
class Study:
    """A model's layers over a suite.

    Attributes:
        rows: layers in running order, then ``TOGETHER`` and ``WHOLE``.
        turns: how many were looked at.
        left_out: turns without a known mask or without new words.
    """

    rows: tuple[SiteRow, ...]
    turns: int
    left_out: int


@dataclass(frozen=True)
class Look:
    """A turn to be looked at: the picture before it, and where the case says it is to change."""

    case: int
    turn: int
    picture: Image.Image
    task: Task
    mask: Mask
    seed: int


def study(
    backbone: Backbone,
    cases: Sequence[Case],
    sigmas: Sequence[float] = SIGMAS,
    batch: int = 8,
    told: Callable[[int], None] = lambda turns: None,
) -> Study:
    """Measure every layer of ``backbone`` that attends to the prompt.

    Args:
        backbone: the model.
        cases: with known masks; turns without are left out.
        sigmas: how much noise the pictures get, each in (0, 1); numbers are means over them.
        batch: turns that go through the network together.
        told: is told of turns that are done.

    Raises:
        InputError: a sigma outside (0, 1), or no turn with a known mask and new words.
        ModelError: the model has no such layer that taps reach.
    """
    if not sigmas or not all(0 < sigma < 1 for sigma in sigmas):
        raise InputError(f"sigmas are {list(sigmas)}, expected numbers between 0 and 1")
    wanted = sum(case.turns for case in cases)
    tables = _Tables(len(cases), max(case.turns for case in cases))
    for looks in _batches(cases, backbone, batch):
        _measure(backbone, looks, sigmas, tables)
        told(len(looks))
    if not tables.turns:
        raise InputError("no turn has both a known mask and words that its prompt adds: take another suite")
    return Study(tables.rows(backbone), tables.turns, wanted - tables.turns)


def token_mask(mask: Mask, geometry: Geometry) -> Tensor:
    """(tokens,) bool: the tokens that hold a pixel of ``mask``."""
    return per_token(mask.astype(np.float32), geometry).amax(-1) > 0


def overlap(found: Tensor, true: Tensor) -> Tensor:
    """Intersection over union along the last dimension; 0 where both are empty."""
    return (found & true).sum(-1) / (found | true).sum(-1).clamp(min=1)


def highest(values: Tensor, count: int) -> Tensor:
    """The ``count`` highest of (..., tokens), as bool; of equal ones the first."""
    chosen = values.sort(dim=-1, descending=True, stable=True).indices[..., :count]
    return torch.zeros_like(values, dtype=torch.bool).scatter_(-1, chosen, True)


class _Reading(MapCapture):
    """Reads every layer that has text."""

    def attend(
        self, site: Site, query: Tensor, key: Tensor, value: Tensor, text_tokens: int, mask: Tensor | None = None
    ) -> Tensor | None:
        if text_tokens == 0:
            return None
        return super().attend(site, query, key, value, text_tokens, mask)


class _Tables:
    """A matrix of (cases, turns) for every row and measure."""

    def __init__(self, cases: int, turns: int) -> None:
        self._shape = (cases, turns)
        self._values: dict[str, dict[str, Matrix]] = {}
        self.turns = 0

    def put(self, row: str, look: Look, values: Mapping[str, float]) -> None:
        """Note what a row shows of a turn."""
        for measure, value in values.items():
            of_row = self._values.setdefault(row, {})
            of_row.setdefault(measure, np.full(self._shape, math.nan))[look.case, look.turn - 1] = value

    def rows(self, backbone: Backbone) -> tuple[SiteRow, ...]:
        making = {str(site) for site in backbone.capabilities.map_sites}
        order = [*map(str, backbone.sites), TOGETHER, WHOLE]
        return tuple(self._row(name, name in making) for name in order if name in self._values)

    def _row(self, name: str, makes_maps: bool) -> SiteRow:
        empty = np.full(self._shape, math.nan)
        return SiteRow(name, makes_maps, *(mean_of(self._values[name].get(measure, empty)) for measure in MEASURES))


def _batches(cases: Sequence[Case], backbone: Backbone, batch: int) -> Iterator[tuple[Look, ...]]:
    """Turns that can be looked at, those of one size of picture together."""
    looks = (look for number, case in enumerate(cases) for look in _looks(number, case, backbone))
    for _, same in groupby(looks, key=lambda look: look.picture.size):
        while some := tuple(islice(same, batch)):
            yield some


def _looks(number: int, case: Case, backbone: Backbone) -> Iterator[Look]:
    for turn, task in enumerate(case.tasks, 1):
        mask, before = case.mask(turn), case.truth(turn - 1)
        if mask is None or before is None or not mask.any():
            continue
        if _columns(backbone.embed([task.target_prompt]), [task])[0]:
            yield Look(number, turn, before, task, mask, case.seed + turn - 1)


def _columns(target: Conditioning, tasks: Sequence[Task]) -> list[tuple[int, ...]]:
    """Text columns of the words that steer each turn, as ``multi_turn`` chooses them."""
    return [
        changed_columns(task.source_prompt, tokens) if task.words is None else word_columns(tokens, task.words)
        for task, tokens in zip(tasks, target.tokens, strict=True)
    ]


def _measure(backbone: Backbone, looks: Sequence[Look], sigmas: Sequence[float], tables: _Tables) -> None:
    latent = backbone.encode([look.picture for look in looks])
    target = backbone.embed([look.task.target_prompt for look in looks])
    columns = TextColumns.of(_columns(target, [look.task for look in looks]))
    # Guidance by two evaluations changes what is made of the attention, not the attention.
    guidance = MultiTurnParams().guidance if backbone.capabilities.guidance == "embedded" else 1.0
    field = backbone.velocity_field(target, latent.geometry, guidance)
    noise = seeded_noise([look.seed for look in looks], latent.packed)
    seen: list[Mapping[Site, Tensor]] = []
    for sigma in sigmas:
        tap = _Reading(columns, backbone.sites)
        with backbone.tapped(tap):
            field(interpolate(latent.packed, noise, sigma), sigma)
        seen.append(tap.raw)
    if not seen[0]:
        raise ModelError(f"{backbone.identity.name} has no layer in which taps see the picture attend to the prompt")
    for row, look in enumerate(looks):
        tables.turns += 1
        _put(backbone, look, [{site: raw[row] for site, raw in one.items()} for one in seen], latent.geometry, tables)


def _put(
    backbone: Backbone, look: Look, seen: Sequence[Mapping[Site, Tensor]], geometry: Geometry, tables: _Tables
) -> None:
    true = token_mask(look.mask, geometry)
    for site in seen[0]:
        raw = torch.stack([one[site].float().cpu() for one in seen])
        tables.put(str(site), look, _of_layer(raw, _at(true, geometry, raw.shape[-1])))
    making = [site for site in backbone.capabilities.map_sites if site in seen[0]]
    if making:
        maps = activation_maps(
            torch.stack([torch.stack([one[site].float().cpu() for one in seen]) for site in making])
        )
        usual = MultiTurnParams()
        marked = combined_mask(maps, usual.ranks, usual.threshold) > 0
        tables.put(TOGETHER, look, {"overlap": float(overlap(marked, true).mean())})
    share = float(true.float().mean())
    tables.put(WHOLE, look, {"overlap": share, "overlap_at_size": share / (2 - share)})


def _of_layer(raw: Tensor, true: Tensor) -> dict[str, float]:
    """The measures of one layer, means over (sigmas, tokens)."""
    maps = activation_maps(raw)
    measured = {
        "attention": raw,
        "activation": maps,
        "overlap": overlap(maps >= MultiTurnParams().threshold, true),
        "overlap_at_size": overlap(highest(raw, int(true.sum())), true),
    }
    return {name: float(values.float().mean()) for name, values in measured.items()}


def _at(true: Tensor, geometry: Geometry, tokens: int) -> Tensor:
    """The mask on the coarser grid of a layer with fewer tokens."""
    if tokens == geometry.tokens:
        return true
    coarser = round(math.sqrt(geometry.tokens / tokens))
    grid = (-(-geometry.rows // coarser), -(-geometry.columns // coarser))
    if grid[0] * grid[1] != tokens:
        raise ModelError(f"a layer of {tokens} tokens fits no grid of {geometry.rows} x {geometry.columns}")
    whole = true.float().reshape(1, geometry.rows, geometry.columns)
    return adaptive_max_pool2d(whole, grid).flatten() > 0
