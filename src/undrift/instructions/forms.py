"""Sentence forms: the templates of ``forms.toml``, and which of them a text has.

A template is a sequence of elements: a choice of words, something that may be missing, or a gap. Every gap is read by
a function of ``slots.py``; a form fits where all its gaps can be read and no word is left over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import islice, product
from types import MappingProxyType
from typing import Any

from undrift.instructions.english import singular, spelt
from undrift.instructions.lexicon import adjective_class, read_table
from undrift.instructions.names import Reference, references
from undrift.instructions.normal_form import orders
from undrift.instructions.slots import READERS
from undrift.instructions.templates import Element, compiled, first_words_of, fits, may_fit, needs
from undrift.instructions.tokens import Token

Gaps = Mapping[str, Any]

Named = Mapping[str, frozenset[str]]
"""The nouns of a caption, in the singular, with the qualities of all that have the name."""


@dataclass(frozen=True)
class Form:
    """One template: what it edits, its elements, and an example of its kind."""

    edit: str
    elements: tuple[Element, ...]
    example: str

    @cached_property
    def needs(self) -> tuple[tuple[frozenset[str], ...], ...]:
        """Of every choice that cannot be missing, the words of each of its alternatives."""
        return needs(self.elements)


@dataclass(frozen=True)
class Request:
    """One edit that an instruction asks for.

    Attributes:
        edit: the name of a function of ``edits.py`` or ``history.py``.
        gaps: what was read, by the names of the gaps.
        lead: the words before the first gap: "make" of "make the cat blue".
        refers: whether everything that it speaks of is named in the caption.
    """

    edit: str
    gaps: Gaps
    lead: tuple[Token, ...]
    refers: bool = True


_SEPARATORS = frozenset({"and", ",", ";", "then", "but", "also", "plus", "only", "now"})
MOST_WORDS = 60
"""Longer texts are no instructions: what looking for one costs grows faster than the square of the words."""

_WAYS = 20
"""So many readings of one form are looked at."""
_ONE_BY_ONE = frozenset({"replace", "transform"})
"""Edits that put one thing in the place of another: where two are read, the second may be an edit of its own."""
FRAGMENTS = frozenset({"fragment", "elsewhere"})
"""Edits that no word asks for: what is there is named as it is to be."""
PREMISES = frozenset({"stated"})
"""Edits that ask for nothing by themselves: what the next one begins from."""
ALONE = frozenset({"undo", "back", "more", "less"})
"""Edits that are the whole of an instruction."""


@cache
def all_forms() -> tuple[Form, ...]:
    """Every template of ``forms.toml``, in its order."""
    return tuple(
        Form(entry["edit"], compiled(text, read_table("forms.toml")["words"]), entry["example"])
        for entry in read_table("forms.toml")["form"]
        for said in entry["say"]
        for text in _opened(said)
    )


def requests(
    tokens: Sequence[Token], named: Named = MappingProxyType({}), *, fragments: bool = False
) -> list[Request] | None:
    """The edits that a text asks for, in order; None if there is no reading of all of its words, or too many of them.

    Args:
        tokens: the text.
        named: what the caption names: where a form can be read in several ways, as "the case" and "light blue" or
            "the case light" and "blue", the one that refers to these is taken.
        fragments: whether a thing with other qualities, "blue dog", or a bare place is a change of what is there.
    """
    asked = _Reading(tuple(tokens), named, fragments).requests(()) if len(tokens) <= MOST_WORDS else None
    return None if asked is not None and asked[-1].edit in PREMISES else asked


@cache
def first_words() -> frozenset[str]:
    """Every word that a form can begin with, other than a gap."""
    return frozenset(word for form in all_forms() for word in first_words_of(form.elements))


class _Reading:
    """One text; what was tried once is remembered."""

    def __init__(self, tokens: tuple[Token, ...], named: Named, fragments: bool) -> None:
        self._tokens = tokens
        self._named = named
        self._nouns = named.keys()
        self._fragments = fragments
        self._fitting: dict[tuple[Token, ...], Request | None] = {}
        self._read: dict[tuple[str, tuple[Token, ...]], Any] = {}

    def requests(self, lead: tuple[Token, ...]) -> list[Request] | None:
        return self._from(self._tokens, lead)

    def _from(self, tokens: tuple[Token, ...], lead: tuple[Token, ...]) -> list[Request] | None:
        """The edits of ``tokens``, as one or as several of which each refers to what there is, if one does not."""
        whole = self._whole(tokens, lead)
        if whole is not None and whole.refers:
            return [whole]
        several = self._several(tokens, lead)
        fits = several is not None and (whole is None or all(request.refers for request in several))
        return several if fits else [whole] if whole is not None else None

    def _whole(self, tokens: tuple[Token, ...], lead: tuple[Token, ...]) -> Request | None:
        """``tokens`` as one edit; a clause without a verb of its own takes that of the clause before."""
        for opening in ((), lead) if lead else ((),):
            whole = self._one((*opening, *tokens))
            if whole is not None and not (opening and whole.edit in ALONE):
                return whole
        return None

    def _several(self, tokens: tuple[Token, ...], lead: tuple[Token, ...]) -> list[Request] | None:
        for cut in range(len(tokens) - 1, 0, -1):
            if tokens[cut].low not in _SEPARATORS or tokens[cut - 1].low in _SEPARATORS:
                continue
            rest = _unseparated(tokens[cut:])
            for opening in ((), lead) if lead else ((),):
                first = self._one((*opening, *tokens[:cut]))
                if first is None or first.edit in ALONE or not rest:
                    continue
                following = self._from(rest, first.lead)
                if following is not None and not any(request.edit in ALONE for request in following):
                    return [first, *following]
        return self._run_together(tokens)

    def _run_together(self, tokens: tuple[Token, ...]) -> list[Request] | None:
        """Qualities of several things with nothing between: "hat blue gift pink", "blue hat pink gift"."""
        for cut in range(len(tokens) - 1, 1, -1):
            if not self._begins(tokens[cut - 1].low, tokens[cut].low):
                continue
            first = self._one(tokens[:cut])
            following = self._from(tokens[cut:], first.lead) if first is not None and first.refers else None
            if first is None or following is None:
                continue
            if all(request.edit in ("quality", "fragment") and request.refers for request in (first, *following)):
                return [first, *following]
        return None

    def _begins(self, before: str, word: str) -> bool:
        """Whether another thing can begin with ``word``, a thing behind a quality or a quality behind a thing."""
        looks = ("colour", "pattern")
        if adjective_class(before) in looks:
            return singular(word) in self._nouns or word == "the"
        return self._fragments and singular(before) in self._nouns and adjective_class(word) in looks

    def _one(self, tokens: tuple[Token, ...]) -> Request | None:
        """What ``tokens`` ask for as they stand, or else as the order that they mean."""
        if tokens not in self._fitting:
            self._fitting[tokens] = self._ordered(tokens)
        return self._fitting[tokens]

    def _ordered(self, tokens: tuple[Token, ...]) -> Request | None:
        plain = self._formed(tokens)
        if plain is not None and plain.refers:
            return plain
        for order in orders(tokens):
            request = self._formed(order.words)
            if request is None or request.edit in FRAGMENTS:
                continue
            if request.refers:
                return replace(request, lead=order.lead)
            plain = plain or replace(request, lead=order.lead)
        return plain

    def _formed(self, tokens: tuple[Token, ...]) -> Request | None:
        """The first form that fits and refers to what the caption names; else the first that fits."""
        best: Request | None = None
        lows = frozenset(token.low for token in tokens)
        for form in all_forms():
            if not may_fit(form.needs, lows) or (form.edit in FRAGMENTS and not self._fragments):
                continue
            for gaps, start in islice(fits(form.elements, tokens, self._gap), _WAYS):
                refers = self._refers(gaps) and not (form.edit in _ONE_BY_ONE and len(gaps.get("new", ())) > 1)
                if not refers and form.edit in FRAGMENTS:
                    continue
                if best is None or refers:
                    best = Request(form.edit, gaps, tokens[: start or 0], refers)
                if refers:
                    return best
        return best

    def _refers(self, gaps: Gaps) -> bool:
        """Whether every reference is to something that the caption names, and told by something that it names."""
        return all(
            each.is_pronoun
            or each.noun in ("one", "ones")
            or (singular(each.noun) in self._nouns and self._looks(each))
            for gap in ("thing", "things", "anchor", "gone", "fragment")
            for reference in references(gaps[gap].thing if gap == "fragment" and gap in gaps else gaps.get(gap))
            for each in (reference, *(reference.beside or ())[1:])
        )

    def _looks(self, reference: Reference) -> bool:
        """Whether something of its name looks as it is told: of a white hat nobody speaks as "the yellow hat"."""
        told = {spelt(word) for word in reference.modifiers if adjective_class(word) in ("colour", "pattern")}
        return not self._nouns & set(reference.modifiers) and told <= self._named[singular(reference.noun)]

    def _gap(self, name: str, tokens: tuple[Token, ...]) -> Any:
        key = (name, tokens)
        if key not in self._read:
            self._read[key] = READERS[name](tokens)
        return self._read[key]


def _unseparated(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    place = 0
    while place < len(tokens) and tokens[place].low in _SEPARATORS:
        place += 1
    return tokens[place:]


def _opened(said: str) -> list[str]:
    """A template with each of the ways to say its ``@opening``."""
    openings = read_table("forms.toml")["openings"]
    found = re.findall(r"@(\w+)", said)
    ways = [said]
    for name in found:
        ways = [way.replace(f"@{name}", opening, 1) for way, opening in product(ways, openings[name])]
    return ways
