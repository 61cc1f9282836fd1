"""How an instruction names things: those that the caption has, and new ones.

What is read here are words only; whether the caption has such a thing is found out when the edit is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from undrift.instructions.caption import Part, Phrase, parse_parts
from undrift.instructions.english import indefinite, is_plural
from undrift.instructions.lexicon import all_nouns, compared, is_adjective, pairs, read_table, verb_forms, words
from undrift.instructions.tokens import Token, joined

_ARTICLES = words("determiners", "articles")
POSSESSIVES = words("determiners", "possessives")
_NUMBERS = words("determiners", "numbers")
DETERMINERS = _ARTICLES | POSSESSIVES | _NUMBERS
_PRONOUNS = words("pronouns", "it")
_UNNAMED = frozenset(
    {"everything", "all", "anything", "something", "nothing", "everyone", "somebody", "someone", "i", "you"}
)
COLOUR_WORDS = frozenset({"colour", "color", "colours", "colors"})
STOPS = frozenset({"and", ",", ";", "but", "or"})
HAVING = frozenset({"with", "wearing", "in", "dressed in", "holding"})
_RELATIVE = frozenset({"that", "which", "who"})
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
_NO_LETTERS = frozenset("<>=→|()[]{}\\*_#")


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
        return not self.modifiers and self.noun in _PRONOUNS | POSSESSIVES


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
    if len(lows) == 1 and lows[0] in _PRONOUNS:
        return Reference(said, (), lows[0])
    if lows[0] in ("all", "both") and len(lows) > 1:
        return read_thing(tokens[2 if lows[1] == "of" else 1 :]) if len(lows) > 2 or lows[1] != "of" else None
    told = next((k for k in range(1, len(lows) - 1) if lows[k] in _RELATIVE), None)
    if told is not None:
        return _read_told(tokens, told, said)
    if any(low in STOPS or low in _UNNAMED for low in lows) or lows[0] in ("a", "an") or lows[0] in _TO:
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
    if any(token.low in STOPS - {"and"} or token.low in _UNNAMED for token in (*head, *rest)):
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


def read_new(tokens: Tokens) -> New | None:
    """One new thing; it gets "a" or "an" where it needs one and "the" only if there is no more than one of it."""
    lows = [token.low for token in tokens]
    if "'s" in lows and lows[0] in ("the", *POSSESSIVES):
        return None
    if any(
        low
        in _UNNAMED | {";", "to", "into", "onto", "instead", "than", "lieu", "rather", "opposed", "neither", "nor"}
        or low in _PRONOUNS - {"that"}
        for low in lows
    ):
        return None
    if any(low in ("it", "him", "them", "there", "not", "should", "must") for low in lows):
        return None
    parts = parse_parts(joined(_attributed(tokens)))
    if not parts or parts[0].joiner or parts[0].phrase is None or not _is_name(parts[0].phrase):
        return None
    if any(_is_sentence(part) or (part.phrase and not _is_name(part.phrase)) for part in parts[1:]):
        return None
    if any(part.phrase is None and part.pose is None for part in parts) or parts[0].phrase.determiner.lower() == "no":
        return None
    if any(part.lead.startswith("as") for part in parts[1:]):
        return None
    if any(part.phrase and _points_back(part.phrase) for part in parts[1:]):
        return None
    first = Part((), _introduced(parts[0].phrase))
    return New((first, *(replace(part, origin=None) for part in parts[1:])), definite=_points_back(parts[0].phrase))


def _attributed(tokens: Tokens) -> list[Token]:
    """A new thing with what is said behind it before its noun: "a crown that is yellow", "a crown, a green one"."""
    lows = [token.low for token in tokens]
    cut = next((k for k in range(1, len(lows) - 1) if lows[k] in _RELATIVE and lows[k + 1] in ("is", "are")), None)
    told = list(tokens[cut + 2 :]) if cut is not None else []
    if cut is None and lows[-1] in ("one", "ones") and "," in lows:
        cut = lows.index(",")
        told = [token for token in tokens[cut + 1 : -1] if token.low not in ("a", "an", "and")]
    simple = cut is not None and not any(relation_at(lows[k:cut]) for k in range(1, cut))
    if cut is None or not simple or not told or not all(is_adjective(token.low) for token in told):
        return list(tokens)
    head = list(tokens[: cut - (lows[cut - 1] == ",")])
    article = head[:1] if head[0].low in DETERMINERS else []
    if len(article) == len(head):
        return list(tokens)
    if article and article[0].low in ("a", "an"):
        article = [Token(indefinite(told[0].low, head[-1].low), "a")]
    return [*article, *told, *head[len(article) :]]


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


def _introduced(phrase: Phrase) -> Phrase:
    low = phrase.determiner.lower()
    if phrase.noun in words("nouns", "proper"):
        phrase = replace(phrase, noun=phrase.noun.capitalize())
    if not low and phrase.noun[:1].isupper():
        return phrase
    definite = low in ("the", *POSSESSIVES, "this", "that")
    if low and not (definite and phrase.noun.lower() not in words("nouns", "unique")):
        return phrase.agreeing() if low in ("a", "an") else phrase
    said = (*phrase.modifiers, phrase.noun)
    return replace(phrase, determiner=indefinite(said[0], phrase.noun))


def _is_name(phrase: Phrase) -> bool:
    """Whether the words can name a thing: no verb form, no pronoun, a noun at the end."""
    lows = [word.lower() for word in (*phrase.modifiers, phrase.noun)]
    if any(low in _NO_NAMES or not any(map(str.isalnum, low)) for low in lows) or _NO_LETTERS & set("".join(lows)):
        return False
    if any(low in verb_forms() and low not in all_nouns() and not is_adjective(low) for low in lows):
        return False
    if lows[-1] in ("one", "ones"):
        return len(lows) > 1 and is_adjective(lows[0])
    if lows[-1] in _HALVES or compared(lows[-1]) or any(low in DETERMINERS for low in lows):
        return False
    return lows[-1] in all_nouns() or is_plural(lows[-1]) or not is_adjective(lows[-1])


def _points_back(phrase: Phrase) -> bool:
    """Whether a phrase names something that is there already, as "the sofa" does."""
    definite = phrase.determiner.lower() in ("the", *POSSESSIVES)
    return definite and phrase.noun.lower() not in words("nouns", "unique")


def _is_sentence(part: Part) -> bool:
    return part.lead in ("", "and", ",") or any(word.lower() in words("verbs", "finite") for word in part.joiner)


def _commands() -> frozenset[str]:
    groups = read_table("forms.toml")["words"]
    verbs = ("make", "change", "replace", "remove", "add", "put")
    said = {word for name in verbs for choice in groups[name].split("|") for word in choice.split()[:1]}
    return (frozenset(said) | {"give", "let", "get", "go", "undo"}) - all_nouns() - {"light", "clear", "include"}


_TO = frozenset(
    {"to", "into", "should", "must", "could", "can", "be", "is", "are", "do", "not", "than", "then", ";", "instead"}
)
_MEASURES = frozenset({"more", "less", "much", "very", "bit", "all", "only", "background", "keep", "leave"})
_NEVER_NAMED = {"→"} | DETERMINERS | _PRONOUNS | _TO | COLOUR_WORDS | _MEASURES | words("relations", "prepositions")
_ORDERS = frozenset(
    {"add", "change", "delete", "erase", "give", "insert", "make", "put", "recolour", "remove", "replace", "turn"}
)
"""Verbs that begin an edit, and never the name of a thing: "delete hat, boat blue"."""
_HALVES = frozenset(
    {"next", "left", "right", "front", "top", "side", "close", "near", "there", "here", "somewhere", "everywhere"}
) | words("verbs", "leaving")
"""Words that end a broken-off relation, not a thing."""
_SCENERY = frozenset({"background", "backdrop", "foreground"})
_NO_THINGS = frozenset({";", "to", "into", "onto", "instead", "than", "lieu", "rather", "opposed", "neither", "nor"})
"""Words that no new thing is told by: they set it against another, or begin the next edit."""
_DONE = frozenset({"added", "removed", "deleted", "replaced", "changed", "turned", "recoloured", "recolored", "gone"})
_NO_NAMES = (
    _DONE |
    _PRONOUNS | _TO | COLOUR_WORDS | _commands() | _SCENERY
    | {"but", "or", "next", "more", "less", "same", "different"}
    | (words("verbs", "commands") - all_nouns())
)  # fmt: skip
