"""The one mood that sentence forms know: what is wished, supposed, asked or pointed out, said as an order.

"it would be nicer if the hat was red", "the hat needs to be red" and "red is the colour the hat should have" all mean
"let the hat be red". The rules of ``moods.toml`` take a clause as a whole: a word that no gap of a rule takes keeps
it from fitting, so that nothing that was said gets lost. Whether the order can be read is for the forms to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import islice

from undrift.instructions.lexicon import base_forms, pairs, read_table, verb_forms, vocabulary, words
from undrift.instructions.names import read_thing
from undrift.instructions.templates import Element, compiled, fits, may_fit, needs
from undrift.instructions.tokens import Token

Clause = tuple[Token, ...]

_DEPTH = 4
"""A mood within a mood, "I think it would be nicer if the hat was to be red", is taken off so often."""
_MOST = 16
"""So many orders are tried for one clause."""
_LONGEST = 24
"""A clause of more words is several."""
_LONGEST_APPROVAL, _LONGEST_PRAISE = 8, 4
"""In words: "it would please me even more", "really great"."""


@dataclass(frozen=True)
class Order:
    """A clause as an order.

    Attributes:
        words: the order.
        lead: the words of the clause before what it is about, which a next clause can do without.
    """

    words: Clause
    lead: Clause


@dataclass(frozen=True)
class Rule:
    """One way to take a mood off: a template, the orders that it may mean, and an example with its order."""

    name: str
    elements: tuple[Element, ...]
    orders: tuple[str, ...]
    example: tuple[str, str]

    @cached_property
    def needs(self) -> tuple[tuple[frozenset[str], ...], ...]:
        """Of every choice that cannot be missing, the words of each of its alternatives."""
        return needs(self.elements)


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every template of ``moods.toml``, in its order."""
    table = read_table("moods.toml")
    return tuple(
        Rule(entry["name"], compiled(said, table["words"]), tuple(entry["as"]), tuple(entry["like"]))
        for entry in table["rule"]
        for said in entry["say"]
    )


def orders(tokens: Sequence[Token]) -> Iterator[Order]:
    """The orders that a clause may mean, without itself, those that take off fewest moods first."""
    return islice(_orders(tuple(tokens)), _MOST if len(tokens) <= _LONGEST else 0)


def _orders(tokens: Clause) -> Iterator[Order]:
    seen = {_lows(tokens)}
    layer = [Order(tokens, ())]
    for depth in range(_DEPTH):
        following: list[Order] = []
        for order in layer:
            for words_, lead in _once(order.words):
                if _lows(words_) in seen:
                    continue
                seen.add(_lows(words_))
                following.append(Order(words_, order.lead if depth else lead))
                yield following[-1]
        layer = following[:_MOST]


def _once(tokens: Clause) -> Iterator[tuple[Clause, Clause]]:
    lows = frozenset(_lows(tokens))
    for rule in all_rules():
        if not may_fit(rule.needs, lows):
            continue
        for gaps, start in fits(rule.elements, tokens, _read):
            for order in rule.orders:
                yield _said(order, gaps), tokens[: start or 0]


def _said(order: str, gaps: dict[str, Clause]) -> Clause:
    """An order with its gaps filled; one that this way to say it does not have is left out."""
    said: list[Token] = []
    for word in re.findall(r"\{\w+\}|[^\s{}]+", order):
        said += gaps.get(word[1:-1], ()) if word.startswith("{") else (Token(word, word),)
    return tuple(said)


@cache
def _listed(name: str) -> frozenset[str]:
    """The words that the moods list for what a gap reads."""
    return frozenset(str(read_table("moods.toml")["read"][name]).split())


def _lows(tokens: Clause) -> tuple[str, ...]:
    return tuple(token.low for token in tokens)


_THIRD = {"is": "be", "are": "be", "has": "have", "does": "do", "goes": "go", "flies": "fly"}


@lru_cache(maxsize=4096)
def _read_subject(tokens: Clause) -> Clause | None:
    lows = _lows(tokens)
    if lows in (("there",), ("everything",)):
        return tokens
    pictured = words("styles", "settings") | words("styles", "nouns") | _listed("scenery")
    if lows[-1] in pictured and len(lows) < 4 and lows[0] in ("the", "this", "that", "my", "whole"):
        return tokens
    told = "that" in lows or "which" in lows or "who" in lows
    cut = _parts(tokens)
    named = read_thing(tokens) is not None or all(part and read_thing(part) is not None for part in cut)
    return tokens if named and (told or not _listed("around") & set(lows)) else None


def _parts(tokens: Clause) -> list[Clause]:
    """What "and" joins; a comma there belongs to it."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.low in ("and", ","):
            parts.append([])
        else:
            parts[-1].append(token)
    return [tuple(part) for part in parts]


def _read_approval(tokens: Clause) -> Clause | None:
    lows = set(_lows(tokens))
    approving = _listed("praise") | _listed("approving")
    approves = bool(lows & approving) and bool(lows & {"would", "will", "is", "am"})
    return tokens if approves and len(tokens) <= _LONGEST_APPROVAL and lows <= approving | _listed("amid") else None


def _read_praise(tokens: Clause) -> Clause | None:
    lows = set(_lows(tokens))
    praise = _listed("praise")
    return tokens if lows & praise and lows <= praise | _listed("amid") and len(tokens) <= _LONGEST_PRAISE else None


def _read_past(tokens: Clause) -> Clause | None:
    """A verb that a supposition has in the past, "sit" for "sat"."""
    low = tokens[0].low
    if len(tokens) > 1:
        return None
    base = pairs("wishes", "should").get(low) or pairs("wishes", "past").get(low)
    if base is None and low.endswith("ed"):
        base = _first_known((low[:-2], low[:-1], low[:-3])) or _base(f"{low[:-2]}ing")
    return None if base is None else (Token(base, base),)


def _read_finite(tokens: Clause) -> Clause | None:
    """A verb in the third person: "wears"."""
    low = tokens[0].low
    if len(tokens) > 1:
        return None
    base = _THIRD.get(low) or (_first_known((low[:-1], low[:-2])) if low.endswith("s") else None)
    return None if base is None else (Token(base, base),)


def _read_gerund(tokens: Clause) -> Clause | None:
    base = _base(tokens[0].low) if len(tokens) == 1 else None
    return None if base is None else (Token(base, base),)


def _base(gerund: str) -> str | None:
    return next((base for base in base_forms(gerund) if base in vocabulary()), None)


def _first_known(bases: Sequence[str]) -> str | None:
    known = verb_forms().keys() | set(pairs("wishes", "past").values()) | set(pairs("wishes", "should").values())
    return next((base for base in bases if base in known | _listed("acts")), None)


def _read_reason(tokens: Clause) -> Clause | None:
    return tokens if not {",", ";"} & set(_lows(tokens)) else None


def _read_verb(tokens: Clause) -> Clause | None:
    return tokens if len(tokens) == 1 and tokens[0].low.isalpha() else None


_READERS: dict[str, Callable[[Clause], Clause | None]] = {
    "s": _read_subject,
    "x": lambda tokens: tokens,
    "vp": lambda tokens: tokens,
    "rest": lambda tokens: tokens,
    "approval": _read_approval,
    "praise": _read_praise,
    "past": _read_past,
    "finite": _read_finite,
    "gerund": _read_gerund,
    "reason": _read_reason,
    "verb": _read_verb,
}


def _read(name: str, tokens: Clause) -> Clause | None:
    return _READERS[name](tokens)
