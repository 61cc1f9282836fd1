"""How an instruction names new things: read as a caption would say them.

What is read here are words only; whether the caption has such a thing already is found out when the edit is made.
"""

from __future__ import annotations

from dataclasses import replace

from undrift.instructions.caption import Part, Phrase, parse_parts
from undrift.instructions.english import indefinite, is_plural
from undrift.instructions.lexicon import all_nouns, compared, is_adjective, read_table, verb_forms, words
from undrift.instructions.names import (
    COLOUR_WORDS,
    DETERMINERS,
    LINKING,
    POSSESSIVES,
    PRONOUNS,
    RELATIVE,
    UNNAMED,
    New,
    Tokens,
    relation_at,
)
from undrift.instructions.tokens import Token, joined

_NO_LETTERS = frozenset("<>=→|()[]{}\\*_#")


def read_new(tokens: Tokens) -> New | None:
    """One new thing; it gets "a" or "an" where it needs one and "the" only if there is no more than one of it."""
    lows = [token.low for token in tokens]
    if "'s" in lows and lows[0] in ("the", *POSSESSIVES):
        return None
    if any(
        low in UNNAMED | {";", "to", "into", "onto", "instead", "than", "lieu", "rather", "opposed", "neither", "nor"}
        or low in PRONOUNS - {"that"}
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
    cut = next((k for k in range(1, len(lows) - 1) if lows[k] in RELATIVE and lows[k + 1] in ("is", "are")), None)
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


_HALVES = frozenset(
    {"next", "left", "right", "front", "top", "side", "close", "near", "there", "here", "somewhere", "everywhere"}
) | words("verbs", "leaving")
"""Words that end a broken-off relation, not a thing."""
_SCENERY = frozenset({"background", "backdrop", "foreground"})
_NO_THINGS = frozenset({";", "to", "into", "onto", "instead", "than", "lieu", "rather", "opposed", "neither", "nor"})
"""Words that no new thing is told by: they set it against another, or begin the next edit."""
_DONE = frozenset({"added", "removed", "deleted", "replaced", "changed", "turned", "recoloured", "recolored", "gone",
                   "disappear", "disappears", "vanish", "vanishes", "become", "becomes"})  # fmt: skip
_NO_NAMES = (
    _DONE |
    PRONOUNS | LINKING | COLOUR_WORDS | _commands() | _SCENERY
    | {"but", "or", "next", "more", "less", "same", "different"}
    | (words("verbs", "commands") - all_nouns())
)  # fmt: skip
