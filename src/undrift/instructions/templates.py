"""Templates of sentences: words, choices of words, what may be missing, and gaps; and how one fits a text.

Forms (``forms.toml``) and moods (``moods.toml``) are written in them: ``a|b`` is either word, ``[get rid of|remove]``
a choice of several words, ``<name>`` a choice that has a name, ``(a)`` what may be missing, ``{gap}`` what is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from undrift.instructions.tokens import Token


@dataclass(frozen=True)
class Choice:
    """One of several words or word groups."""

    said: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Optional:
    """Elements that may be missing."""

    inner: tuple[Element, ...]


@dataclass(frozen=True)
class Gap:
    """What a reader reads."""

    name: str


Element = Choice | Optional | Gap
Read = Callable[[str, tuple[Token, ...]], Any]
"""What the words of the gap of a name mean, None where they cannot stand there."""

_ELEMENT = re.compile(r"\{(\w+)\}|<(\w+)>|(\()|(\))|\[([^\]]+)\]|([^\s(){}<>\[\]]+)")


def compiled(text: str, groups: Mapping[str, str]) -> tuple[Element, ...]:
    """The elements of a template.

    Args:
        text: the template.
        groups: the choices that have a name, each as "a|b c".

    Raises:
        ValueError: it has two choices of single words in a row, "get|take rid|away": a space ends a choice, so that
            nobody can see whether "take rid" was meant as one.
    """
    parts = list(_ELEMENT.finditer(text))
    for one, other in pairwise(parts):
        if "|" in (one[6] or "") and "|" in (other[6] or ""):
            raise ValueError(
                f"{text!r}: in {one[0]!r} {other[0]!r} a space ends the choice; write '[{one[0]}] [{other[0]}]' for "
                f"two choices, '[a b|c d]' for one of several words"
            )
    elements, _ = _sequence(parts, 0, groups)
    return elements


def needs(elements: Sequence[Element]) -> tuple[tuple[frozenset[str], ...], ...]:
    """Of every choice that cannot be missing, the words of each of its alternatives."""
    return tuple(
        tuple(frozenset(said) for said in element.said) for element in elements if isinstance(element, Choice)
    )


def may_fit(needed: tuple[tuple[frozenset[str], ...], ...], lows: frozenset[str]) -> bool:
    """Whether a text of these words has what a template cannot do without; most are left out by that."""
    return all(any(said <= lows for said in choice) for choice in needed)


def first_words_of(elements: Sequence[Element]) -> set[str]:
    """Every word that a template can begin with, other than a gap."""
    if not elements or isinstance(elements[0], Gap):
        return set()
    if isinstance(elements[0], Choice):
        return {said[0] for said in elements[0].said}
    return first_words_of(elements[0].inner) | first_words_of(elements[1:])


def fits(
    elements: tuple[Element, ...], tokens: tuple[Token, ...], read: Read
) -> Iterator[tuple[dict[str, Any], int | None]]:
    """All ways in which a template takes all of a text: its gaps, and where the first one began."""
    return _fits(elements, tokens, 0, {}, None, read)


def _fits(
    elements: tuple[Element, ...],
    tokens: tuple[Token, ...],
    at: int,
    gaps: dict[str, Any],
    start: int | None,
    read: Read,
) -> Iterator[tuple[dict[str, Any], int | None]]:
    if not elements:
        if at == len(tokens):
            yield gaps, start
        return
    element, rest = elements[0], elements[1:]
    if isinstance(element, Choice):
        for said in element.said:
            if all(t.low == w for t, w in zip(tokens[at:], said, strict=False)) and at + len(said) <= len(tokens):
                yield from _fits(rest, tokens, at + len(said), gaps, start, read)
    elif isinstance(element, Optional):
        yield from _fits((*element.inner, *rest), tokens, at, gaps, start, read)
        yield from _fits(rest, tokens, at, gaps, start, read)
    else:
        for stop in range(len(tokens), at, -1):
            value = read(element.name, tokens[at:stop])
            if value is not None:
                found = {**gaps, element.name: value}
                yield from _fits(rest, tokens, stop, found, start if start is not None else at, read)


def _sequence(parts: Sequence[re.Match[str]], at: int, groups: Mapping[str, str]) -> tuple[tuple[Element, ...], int]:
    elements: list[Element] = []
    while at < len(parts):
        gap, group, opens, closes, bracketed, word = parts[at].groups()
        at += 1
        if closes:
            break
        if opens:
            inner, at = _sequence(parts, at, groups)
            elements.append(Optional(inner))
        elif gap:
            elements.append(Gap(gap))
        else:
            said = groups[group] if group else bracketed or word
            elements.append(Choice(tuple(tuple(each.split()) for each in said.split("|"))))
    return tuple(elements), at
