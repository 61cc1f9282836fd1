"""How an instruction names things: those that the caption has, and new ones.

What is read here are words only; whether the caption has such a thing is found out when the edit is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from undrift.instructions.caption import Part, Phrase
from undrift.instructions.lexicon import all_nouns, is_adjective, pairs, words
from undrift.instructions.tokens import Token, joined

_ARTICLES = words("determiners", "articles")
POSSESSIVES = words("determiners", "possessives")
_NUMBERS = words("determiners", "numbers")
DETERMINERS = _ARTICLES | POSSESSIVES | _NUMBERS
PRONOUNS = words("pronouns", "it")
UNNAMED = frozenset(
    {"everything", "all", "anything", "something", "nothing", "everyone", "somebody", "someone", "i", "you"}
)
COLOUR_WORDS = frozenset({"colour", "color", "colours", "colors"})
STOPS = frozenset({"and", ",", ";", "but", "or"})
HAVING = frozenset({"with", "wearing", "in", "dressed in", "holding"})
RELATIVE = frozenset({"that", "which", "who"})
_HAS = {"wears": "wearing", "wear": "wearing", "has": "with", "have": "with", "holds": "holding", "hold": "holding"}
_AT_PRESENT = frozenset({"now", "currently", "still"})
_WORN_BY = (("is", "wearing"), ("is", "holding"), ("has", "on"), ("wears",), ("holds",), ("has",))
"""How a relative clause ends that says who has a thing: "the crown that the dog is wearing"."""
_DOING = frozenset(pairs("verbs", "other").values()) - {
    "building",
    "painting",
    "drawing",
    "growing",
    "rising",
    "shining",
}


@dataclass(frozen=True)
class Reference:
    """How an instruction names something of the caption.

    Attributes:
        said: the words.
        modifiers, noun: of "the red cat"; the noun of "the red one" is "one", of "it" it is "it".
        count: a number or the like that was said with it, "two" of "the two dogs" or of "two dogs".
        owner: who has it: of "the cat's hat", the cat; a pronoun such as "his" for "his hat".
        beside: for "the hat on the cat": ("on", the cat).
    """

    said: str
    modifiers: tuple[str, ...]
    noun: str
    count: str = ""
    owner: Reference | None = None
    beside: tuple[str, Reference] | None = None

    @property
    def is_pronoun(self) -> bool:
        """Whether it is a word such as "it"."""
        return not self.modifiers and self.noun in PRONOUNS | POSSESSIVES


IT = Reference("it", (), "it")
"""What a clause speaks of that names nothing: "... and wear a hat"."""


@dataclass(frozen=True)
class New:
    """A new thing with all that is said about it: "a dog" or "a cup" and "of coffee".

    Attributes:
        parts: the thing, without a joiner, and what is said about it.
        definite: whether it was called "the ...", as things are that are there already.
    """

    parts: tuple[Part, ...]
    definite: bool = False

    @property
    def phrase(self) -> Phrase:
        """The thing itself."""
        phrase = self.parts[0].phrase
        assert phrase is not None, "read_new makes none without"
        return phrase


Tokens = Sequence[Token]


def read_thing(tokens: Tokens) -> Reference | None:
    """One reference: a pronoun, or a noun phrase without "a"."""
    lows = [token.low for token in tokens]
    said = " ".join(joined(list(tokens)))
    if len(lows) == 1 and lows[0] in PRONOUNS:
        return Reference(said, (), lows[0])
    if lows[0] in ("all", "both") and len(lows) > 1:
        return read_thing(tokens[2 if lows[1] == "of" else 1 :]) if len(lows) > 2 or lows[1] != "of" else None
    told = next((k for k in range(1, len(lows) - 1) if lows[k] in RELATIVE), None)
    if told is not None:
        return _read_told(tokens, told, said)
    if any(low in STOPS or low in UNNAMED for low in lows) or lows[0] in ("a", "an") or lows[0] in LINKING:
        return None
    if len(lows) > 1 and lows[0] in _ORDERS | {"no", "neither"}:
        return None
    if "'s" in lows:
        return _read_owned(tokens, said)
    cut = next((k for k in range(1, len(lows)) if relation_at(lows[k:])), len(lows))
    named = _named(lows[:cut])
    found = _reference(said, named) if named else None
    if found is None or cut == len(lows):
        return found
    relation = relation_at(lows[cut:])
    return _beside(found, relation, tokens[cut + len(relation.split()) :])


def _beside(found: Reference, relation: str, rest: Tokens) -> Reference | None:
    """A reference told by what is beside it; "a crown" of "the bird with a crown" is the one that is there."""
    indefinite = relation in HAVING and len(rest) > 1 and rest[0].low in ("a", "an")
    anchor = read_thing(rest[1:] if indefinite else rest) if rest else None
    return replace(found, beside=(relation, anchor)) if anchor else None


def _read_told(tokens: Tokens, place: int, said: str) -> Reference | None:
    """Of "the bird that wears a crown" and "the cactus, which is red,", whose relative pronoun is at ``place``."""
    head, rest = tokens[: place - (tokens[place - 1].low == ",")], tokens[place + 1 :]
    rest = rest[:-1] if rest[-1].low == "," and len(rest) > 1 else rest
    if any(token.low in STOPS - {"and"} or token.low in UNNAMED for token in (*head, *rest)):
        return None
    named = _named([token.low for token in head])
    being = rest[0].low in ("is", "are") and len(rest) > 1
    rest = [token for token in rest[1:] if token.low not in _AT_PRESENT] if being else rest
    if named is None or not rest:
        return None
    found = _reference(said, named)
    lows = [token.low for token in rest]
    if being and all(low == "and" or is_adjective(low) for low in lows):
        return replace(found, modifiers=(*found.modifiers, *(low for low in lows if low != "and")))
    having = _HAS.get(lows[0])
    if having is not None:
        return _beside(found, having, rest[1:])
    owned = next((len(end) for end in _WORN_BY if tuple(lows[-len(end) :]) == end and len(lows) > len(end)), 0)
    if owned:
        owner = read_thing(rest[:-owned])
        return replace(found, owner=owner) if owner else None
    relation = relation_at(lows)
    return _beside(found, relation, rest[len(relation.split()) :]) if relation else None


def _read_owned(tokens: Tokens, said: str) -> Reference | None:
    """Of "the man's hat": what is behind the last "'s" belongs to what is before it."""
    lows = [token.low for token in tokens]
    cut = len(lows) - 1 - lows[::-1].index("'s")
    owner = read_thing(tokens[:cut]) if cut else None
    owned = _plain(lows[cut + 1 :])
    return Reference(said, owned[:-1], owned[-1], owner=owner) if owner and owned else None


def _reference(said: str, named: tuple[str, ...]) -> Reference:
    found = Reference(said, named[1:-1] if named[0] in DETERMINERS else named[:-1], named[-1])
    if named[0] in _NUMBERS - {"this", "that", "these", "those"}:
        return replace(found, count=named[0])
    if named[0] in POSSESSIVES:
        return replace(found, owner=Reference(named[0], (), named[0]))
    return found


def references(value: object) -> tuple[Reference, ...]:
    """The references in what was read for a gap; none for other gaps."""
    if isinstance(value, Reference):
        return (value,)
    return value if isinstance(value, tuple) and all(isinstance(each, Reference) for each in value) else ()


def _named(lows: list[str]) -> tuple[str, ...] | None:
    """The words of a noun phrase, None if they are none."""
    rest = lows[1:] if lows and lows[0] in DETERMINERS else lows
    rest = rest[1:] if lows[0] == "the" and rest and rest[0] in words("determiners", "plural") else rest
    plain = _plain(rest)
    return (*lows[: len(lows) - len(rest)][-1:], *plain) if plain else None


def _plain(lows: list[str]) -> tuple[str, ...]:
    """Modifiers and a noun; empty if something else stands among them or no noun ends them."""
    kept = tuple(low for low in lows if low != "and")
    body = kept[:-1] if kept and kept[-1] in ("one", "ones") else kept
    if not kept or any(low in _NEVER_NAMED for low in body):
        return ()
    if kept[-1] not in ("one", "ones") and is_adjective(kept[-1]) and kept[-1] not in all_nouns():
        return ()
    return kept


def relation_at(lows: list[str]) -> str:
    """The relation that the words begin with, as it was said, "holding" among them; empty if there is none."""
    if lows and lows[0] in _DOING and len(lows) > 1:
        return lows[0]
    known = [*pairs("relations", "words"), "of", "with", "wearing", "in", "from"]
    return max((said for said in known if lows[: len(said.split())] == said.split()), key=len, default="")


LINKING = frozenset(
    {"to", "into", "should", "must", "could", "can", "be", "is", "are", "do", "not", "than", "then", ";", "instead"}
)
_MEASURES = frozenset({"more", "less", "much", "very", "bit", "all", "only", "background", "keep", "leave"})
_NEVER_NAMED = (
    {"→"} | DETERMINERS | PRONOUNS | LINKING | COLOUR_WORDS | _MEASURES | words("relations", "prepositions")
)
_ORDERS = frozenset(
    {"add", "change", "delete", "erase", "give", "insert", "make", "put", "recolour", "remove", "replace", "turn"}
)
"""Verbs that begin an edit, and never the name of a thing: "delete hat, boat blue"."""
