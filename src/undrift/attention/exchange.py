"""Prompt-to-Prompt (arXiv 2208.01626): attention weights of one prompt's pass put into another's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undrift.attention.columns import TextColumns
from undrift.attention.kernel import attention_weights
from undrift.attention.sites import Site
from undrift.attention.summed import WordMaps
from undrift.attention.taps import AttentionTap
from undrift.attention.words import TokenSpans
from undrift.errors import InputError
from undrift.flow import Follower


@dataclass(frozen=True)
class Exchange:
    """New weights on the text columns: M_j = c_j (sum_i A_ij source_i + o_j own_j), for each row of the batch.

    Attributes:
        source: A, (batch, columns, columns).
        own: o, (batch, columns).
        factors: c, (batch, columns).
    """

    source: Tensor
    own: Tensor
    factors: Tensor

    def apply(self, source: Tensor, own: Tensor) -> Tensor:
        """The new weights from both passes' (batch, heads, image_tokens, columns)."""
        taken, kept, factors = (tensor.to(own) for tensor in (self.source, self.own, self.factors))
        return (source @ taken.unsqueeze(1) + own * kept[:, None, None]) * factors[:, None, None]


def refined(pairs: Sequence[tuple[Sequence[str], Sequence[str]]], columns: int) -> Exchange:
    """Every token that the target shares with the source takes the source's column; new ones keep their own.

    Tokens are aligned by their longest common subsequence; columns behind the target's tokens stay in place.

    Args:
        pairs: (source tokens, target tokens) per row, special tokens included.
        columns: that the text takes.
    """
    taken, own = torch.zeros(len(pairs), columns, columns), torch.zeros(len(pairs), columns)
    for row, (source, target) in enumerate(pairs):
        partners = aligned(source, target)
        for column in range(columns):
            partner = partners[column] if column < len(target) else column
            if partner is None:
                own[row, column] = 1.0
            else:
                taken[row, partner, column] = 1.0
    return Exchange(taken, own, torch.ones_like(own))


def aligned(source: Sequence[str], target: Sequence[str]) -> list[int | None]:
    """For each target token the source token that it is, in a longest common subsequence; None for a new one."""
    best = [[0] * (len(target) + 1) for _ in range(len(source) + 1)]
    for i in reversed(range(len(source))):
        for j in reversed(range(len(target))):
            same = source[i] == target[j]
            best[i][j] = 1 + best[i + 1][j + 1] if same else max(best[i + 1][j], best[i][j + 1])
    partners: list[int | None] = []
    i = j = 0
    while j < len(target):
        if i < len(source) and source[i] == target[j]:
            partners.append(i)
            i, j = i + 1, j + 1
        elif i < len(source) and best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            partners.append(None)
            j += 1
    return partners


def replaced(pairs: Sequence[tuple[TokenSpans, TokenSpans]], columns: int) -> Exchange:
    """Word for word: the n-th word of the target takes the columns of the n-th word of the source.

    Where a word has n tokens and the one before had another number, each takes the n-th part of all of that one's.

    Args:
        pairs: (source, target) per row.
        columns: that the text takes.

    Raises:
        InputError: prompts with different numbers of words.
    """
    taken = torch.zeros(len(pairs), columns, columns)
    for row, (source, target) in enumerate(pairs):
        old, new = words_of(source), words_of(target)
        if len(old) != len(new):
            raise InputError(
                f"'{source.prompt}' has {len(old)} words and '{target.prompt}' has {len(new)}: exchange=replace takes"
                " prompts with as many words, use exchange=refine"
            )
        for before, after in zip(old, new, strict=True):
            even = len(before) == len(after)
            block = torch.eye(len(before)) if even else torch.full((len(before), len(after)), 1.0 / len(after))
            taken[row, before[0] : before[-1] + 1, after[0] : after[-1] + 1] = block
        _keep_places_around(taken[row], old, new)
    own = torch.zeros(len(pairs), columns)
    return Exchange(taken, own, torch.ones_like(own))


def words_of(tokens: TokenSpans) -> list[list[int]]:
    """Columns of each word between spaces, in order."""
    found: list[list[int]] = []
    last = -1
    for column, (start, stop) in enumerate(tokens.spans):
        if stop > start:
            word = len(tokens.prompt[:start].split()) - (start > 0 and not tokens.prompt[start - 1].isspace())
            if word != last:
                found.append([])
            found[-1].append(column)
            last = word
    return found


def _keep_places_around(taken: Tensor, old: list[list[int]], new: list[list[int]]) -> None:
    """Columns in front of all words stay in place, those behind them stay as far behind."""
    last = taken.shape[0] - 1
    front, behind_old, behind_new = (new[0][0], old[-1][-1] + 1, new[-1][-1] + 1) if new else (last + 1, 0, last + 1)
    for column in range(front):
        taken[column, column] = 1.0
    for column in range(behind_new, last + 1):
        taken[min(last, column - behind_new + behind_old), column] = 1.0


def reweighted(exchange: Exchange, chosen: Sequence[Sequence[int]], factor: float) -> Exchange:
    """The same with ``factor`` on the ``chosen`` columns of each row; nothing is normalised again."""
    factors = exchange.factors.clone()
    for row, columns in enumerate(chosen):
        factors[row, list(columns)] = factor
    return Exchange(exchange.source, exchange.own, factors)


@dataclass(frozen=True)
class Schedule:
    """Where and how long weights are exchanged.

    Attributes:
        text_sites, image_sites: layers in which the picture attends to the prompt, and to itself.
        text_steps, image_steps: for how many steps.
        most_tokens: layers with more image tokens than this keep their own attention to the picture.
    """

    text_sites: frozenset[Site]
    image_sites: frozenset[Site]
    text_steps: int
    image_steps: int
    most_tokens: int


class PromptToPrompt(Follower, AttentionTap):
    """In a batch of R targets and then their R sources, gives the targets the sources' attention weights.

    On the text columns as ``exchange`` says, on the image's columns unchanged.

    Args:
        exchange: of the text columns.
        schedule: where and how long.
        maps: to fill with the weights after the exchange, of all rows; None reads none.
        map_sites: the layers that fill them.
    """

    def __init__(
        self, exchange: Exchange, schedule: Schedule, maps: WordMaps | None = None, map_sites: Collection[Site] = ()
    ) -> None:
        self._exchange, self._schedule = exchange, schedule
        self._maps, self._map_sites = maps, frozenset(map_sites)

    def wants(self, site: Site) -> bool:
        s = self._schedule
        text, image = site in s.text_sites and s.text_steps > 0, site in s.image_sites and s.image_steps > 0
        return text or image or (self._maps is not None and site in self._map_sites)

    def attend(
        self, site: Site, query: Tensor, key: Tensor, value: Tensor, text_tokens: int, mask: Tensor | None = None
    ) -> Tensor | None:
        text, image = self._active(site, query.shape[1] - text_tokens, key.shape[1] - text_tokens)
        reads = self._maps is not None and site in self._map_sites
        if not (text or image or reads):
            return None
        weights = attention_weights(query, key, mask)
        targets, sources = weights[:, :, text_tokens:].chunk(2)
        if text:
            changed = self._exchange.apply(sources[..., :text_tokens], targets[..., :text_tokens])
            targets[..., :text_tokens] = changed
        if image:
            targets[..., text_tokens:] = sources[..., text_tokens:]
        if self._maps is not None and reads:
            columns = self._maps.columns.to(query.device)
            self._maps.add(_taken(weights[:, :, text_tokens:], columns))
        return (weights @ value.transpose(1, 2).to(weights.dtype)).transpose(1, 2).to(query.dtype)

    def _active(self, site: Site, queries: int, image_keys: int) -> tuple[bool, bool]:
        s, index = self._schedule, self.step.index
        text = site in s.text_sites and index < s.text_steps
        fine = image_keys > 0 and queries <= s.most_tokens
        return text, site in s.image_sites and index < s.image_steps and fine


def _taken(rows: Tensor, columns: TextColumns) -> Tensor:
    return rows.gather(-1, columns.index[:, None, None, :].expand(-1, rows.shape[1], rows.shape[2], -1))
