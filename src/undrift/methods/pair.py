"""An edit beside its source: both run in one batch, R targets and then their R sources, and the taps join them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from undrift.attention.columns import TextColumns
from undrift.attention.summed import WordMaps
from undrift.attention.words import changed_columns, changed_spans, span_columns, word_columns
from undrift.backbones.base import Backbone, Conditioning
from undrift.flow import Follower, LateNoise, Observer, Step, Trajectory, VelocityField, integrate, inverted
from undrift.flow.retain import led_back
from undrift.methods.base import EditRequest
from undrift.methods.scope import Scope, scope_of


def inverted_picture(
    backbone: Backbone,
    request: EditRequest,
    prompts: Sequence[str],
    steps: int,
    guidance: float,
    observers: Sequence[Observer],
    *,
    record: bool = False,
) -> Trajectory:
    """DDIM's inversion of the previous picture with ``prompts``."""
    picture = request.previous
    field = backbone.velocity_field(backbone.embed(prompts), picture.geometry, guidance)
    up = inverted(backbone.sigmas(steps, picture.geometry))
    return integrate(field, LateNoise(), picture.packed, up, observers=observers, record=record)


def paired(backbone: Backbone, request: EditRequest, source_prompts: Sequence[str]) -> Conditioning:
    """The prompts of targets and sources."""
    return backbone.embed([*request.target_prompts, *source_prompts])


class BesidePath(Follower):
    """A field of R targets and R sources whose sources are put where a recorded inversion was at the same sigma.

    Args:
        field: for twice the rows.
        states: the inversion's, the picture first; to the bit what the sources are.
    """

    def __init__(self, field: VelocityField, states: Sequence[Tensor]) -> None:
        self.parts = (field,)
        self._field, self._states = field, states

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self._field(torch.cat([x, self._states[-1 - self.step.index]]), sigma)[: x.shape[0]]


class PerStep(Follower):
    """Another field at every step.

    Args:
        fields: one per step of the grid.
    """

    def __init__(self, fields: Sequence[VelocityField]) -> None:
        self.parts = tuple(fields)
        self._fields = fields

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self._fields[self.step.index](x, sigma)


class LocalBlend:
    """A controller that keeps the edit within the words: x_target <- x_source + m (x_target - x_source) at every
    step.

    m is 1 where the map of the edit's words, in the target's or in the source's attention, is large
    (``WordMaps.near_the_largest``). A pair in which neither prompt has such words is not blended: its m is 1
    throughout.

    Source: Hertz et al. 2022, arXiv 2208.01626, section 4.

    Args:
        maps: of targets and sources.
        grid: (rows, columns) of tokens.
        threshold: share of the largest value.
        first: step from which on it blends.
        path: where the sources are, N + 1 states in the order of the grid; None: they are the second half of the
        state.
    """

    def __init__(
        self,
        maps: WordMaps,
        grid: tuple[int, int],
        threshold: float,
        first: int,
        path: Sequence[Tensor] | None = None,
    ) -> None:
        self._maps, self._grid, self._threshold, self._first, self._path = maps, grid, threshold, first, path
        self.mask: Tensor | None = None
        """m of the last step, (R, tokens); None until something was blended."""

    def adjust(self, x: Tensor, velocity: Tensor, step: Step) -> Tensor:
        found = self._maps.near_the_largest(self._grid, self._threshold)
        if step.index < self._first or found is None:
            return velocity
        targets, sources = found.chunk(2)
        named = self._maps.named.to(found.device).chunk(2)
        self.mask = (targets | sources | ~(named[0] | named[1]).unsqueeze(1)).to(velocity.dtype)
        h = step.sigma_next - step.sigma
        if self._path is not None:
            return led_back(x, velocity, self._path[step.index + 1], h, self.mask)
        (edit, source), (edit_velocity, source_velocity) = x.chunk(2), velocity.chunk(2)
        back = source_velocity + (source - edit) / h
        weight = self.mask.unsqueeze(-1)
        return torch.cat([weight * edit_velocity + (1.0 - weight) * back, source_velocity])


def edited_columns(prompts: Conditioning, request: EditRequest) -> list[tuple[int, ...]]:
    """Text columns of the words that the edit is about, for targets and then sources.

    Words that the request names are looked up in the target, and in the source where it has them. Without any they
    are those that the one prompt has and the other has not. No columns where the words are ``()`` or the edit is of
    the whole picture.

    Raises:
        InputError: a word that the target does not have.
    """
    rows = len(request.seeds)
    pairs = list(zip(prompts.tokens[:rows], prompts.tokens[rows:], request.words, strict=True))
    targets: list[tuple[int, ...]] = []
    sources: list[tuple[int, ...]] = []
    for target, source, words in pairs:
        if words is None and scope_of(source.prompt, target.prompt) is Scope.GLOBAL:
            targets.append(())
            sources.append(())
        elif words is None:
            targets.append(changed_columns(source.prompt, target))
            sources.append(span_columns(source, changed_spans(target.prompt, source.prompt)))
        else:
            targets.append(word_columns(target, list(words)))
            present = [word for word in words if _has(source.prompt, word)]
            sources.append(word_columns(source, present))
    return [*targets, *sources]


def word_maps(columns: Sequence[Sequence[int]]) -> WordMaps | None:
    """Maps of those columns; None where no row has any."""
    return WordMaps(TextColumns.of(columns)) if any(columns) else None


def _has(prompt: str, word: str) -> bool:
    from undrift.attention.segments import Folded

    return next(iter(Folded(prompt).occurrences(word)), None) is not None
