"""Whether a text is an instruction or a caption."""

from __future__ import annotations

import re
from collections.abc import Sequence

from undrift.instructions.caption import Caption, Phrase, parse
from undrift.instructions.english import is_plural, singular, spelt
from undrift.instructions.forms import Named, first_words, requests
from undrift.instructions.lexicon import adjective_class, all_nouns, is_adjective, nearest, pairs, words
from undrift.instructions.reading import TextForm
from undrift.instructions.tokens import tokenise, without_politeness
from undrift.instructions.world import LITTLEWORLD

_MARKS = frozenset(
    {"please", "should", "must", "would", "could", "might", "instead", "you", "undo", "need", "needs", "want", "wish",
     "better", "i", "me", "we", "us", "now"}
)  # fmt: skip
"""Words that make a text an instruction wherever they stand."""
_OUGHT = re.compile(r"\b(?:has|have|needs?|ought|is|are) to\b|\b(?:not|rather)\b", re.IGNORECASE)
"""What no caption says of a picture: what ought to be, and what is not there."""
_ARROW = re.compile(r"->|=>|→")
_POINTING = (
    words("determiners", "articles")
    | words("determiners", "possessives")
    | words("pronouns", "it")
    | {"everything", "all", "only", "background", "anything", "nothing"}
)
_MEASURES = frozenset({"more", "less", "slightly", "too", "not", "even", "much"})
_AMBIGUOUS = frozenset(
    {"back", "more", "less", "no", "with", "without", "in", "on", "at", "as", "like", "now", "how"}
)
QUESTIONS = frozenset(
    {"what", "who", "whose", "why", "where", "when", "which", "how", "is", "are", "was", "does", "did"}
)
"""Words that a question begins with."""
_NAMING = (
    words("determiners", "articles") | words("determiners", "possessives") | words("determiners", "numbers")
) - {"no", "another", "this", "that", "these", "those"}
_COMPARING = frozenset({"second", "different", "other", "same", "another"})
"""Words that, at the beginning, speak of a picture that is there."""


def text_form(text: str, caption: str = "") -> TextForm:
    """Whether a text is an instruction or a caption.

    It is an instruction if it begins as one, has a word that only instructions have, or can be read as one. A caption
    is what says all that a picture is to show (``is_whole``): of a text that is neither, an instruction is the safer
    reading, since it is refused where a caption would make another picture.
    """
    spoken = tokenise(text)
    tokens = without_politeness(spoken)
    if not tokens:
        return "caption"
    lows = [token.low for token in tokens]
    if (
        "?" in text
        or _ARROW.search(text)
        or _OUGHT.search(text)
        or _MARKS & {token.low for token in spoken}
        or _ends_in_quality(lows)
    ):
        return "instruction"
    if lows[0] in _MEASURES or (lows[:2] in (["a", "bit"], ["a", "little"]) and len(lows) > 2 and _measures(lows[2])):
        return "instruction"
    if _commands(lows, {word.lower() for word in caption.split()}):
        return "instruction"
    if requests(tokens, named_in(caption)) or not is_whole(text, caption):
        return "instruction"
    return "caption"


def nouns_of(caption: str) -> frozenset[str]:
    """The nouns that a caption names its things with, in the singular."""
    return frozenset(singular(phrase.noun) for _, phrase in parse(caption).things())


def named_in(caption: str) -> Named:
    """The same with the qualities of all that have the name."""
    named: dict[str, frozenset[str]] = {}
    for _, phrase in parse(caption).things():
        noun = singular(phrase.noun)
        named[noun] = named.get(noun, frozenset()) | {spelt(word) for word in phrase.modifiers}
    return named


def is_whole(text: str, caption: str) -> bool:
    """Whether a text can be all that a picture is to show.

    It begins as a caption does, with a thing and not with "the hat" of the picture that is there, and where the
    present caption says more than one thing, it does so too: "a blue hat" alone is rather a part of the picture. A
    caption of the drawn world always says where.
    """
    lows = re.findall(r"[^\W_][\w'-]*", text.lower())
    if (
        not lows
        or lows[0] in QUESTIONS | {"and", "or", "plus", "also"}
        or _COMPARING & set(lows[:2])
        or "but" in lows
        or not _names_first(text, lows)
    ):
        return False
    said, now = parse(text), parse(caption)
    if LITTLEWORLD.has(now) and not any(part.is_place for part in said.parts):
        return False
    things = [phrase for number, phrase in said.things() if said.parts[number].lead != "of"]
    if any(phrase.determiner for _, phrase in now.things()) and not _speaks_alike(said, lows):
        return False
    if not things or (len(things) == 1 and not _says_more(said) and len(list(now.things())) > 1):
        return False
    if (is_adjective(things[0].noun.lower()) and things[0].noun.lower() not in all_nouns()) or _is_part(
        things[0], now
    ):
        return False
    definite = lows[0] in ("the", *words("determiners", "possessives"))
    points = definite and any(singular(word) in nouns_of(caption) for word in things[0].words)
    return not points or bool(set(lows) & words("verbs", "finite"))


def _speaks_alike(said: Caption, lows: Sequence[str]) -> bool:
    """Whether a text has an article or the like, as a caption of somebody who writes articles, or needs none."""
    return bool(said.opening or set(lows) & _NAMING) or all(is_plural(phrase.noun) for _, phrase in said.things())


def _is_part(thing: Phrase, now: Caption) -> bool:
    """Whether a thing is one of a picture, but not what its caption begins with, or is called in short, "cat"."""
    named = [phrase for _, phrase in now.things()]
    if not named or singular(thing.noun) not in {singular(phrase.noun) for phrase in named}:
        return False
    in_short = bool(named[0].determiner) and not thing.determiner and not is_plural(thing.noun)
    return in_short or singular(thing.noun) != singular(named[0].noun)


def _names_first(text: str, lows: Sequence[str]) -> bool:
    """Whether a text begins with a thing: its article, number, quality, noun, or names as in "Eiffel Tower"."""
    first = lows[0]
    named = bool(re.match(r"\s*[A-Z]\w+\s+(?:[A-Z]\w+|(?:in|on|at|by|with)\b)", text))
    known = first in _NAMING or is_adjective(first) or {first, singular(first)} & all_nouns()
    return bool(known) or first in words("styles", "nouns") | words("styles", "describing") or named


def _says_more(said: Caption) -> bool:
    """Whether a caption with one thing says how it is drawn or what it does."""
    return bool(said.opening or said.manner) or any(part.pose for part in said.parts)


def _commands(lows: Sequence[str], named: set[str]) -> bool:
    """Whether a text begins as an instruction, of a picture in whose caption the words ``named`` are."""
    first, second = lows[0], lows[1] if len(lows) > 1 else ""
    points = second in _POINTING | words("verbs", "leaving") or second in named - words("relations", "prepositions")
    if _commands_unknown(first, second):
        return True
    if first in words("verbs", "commands") and (points or first not in all_nouns()):
        return True
    if first in first_words() - words("determiners", "articles"):
        weak = first in _AMBIGUOUS | words("relations", "prepositions")
        unclear = weak or first in all_nouns() | words("verbs", "also_nouns") or is_adjective(first)
        if not unclear or (points and not weak):
            return True
    return nearest(first) in first_words() and points and first not in named


def _commands_unknown(first: str, second: str) -> bool:
    """Whether a text begins as a command with a verb that is not listed: "ditch the ...", "see it ..."."""
    names = words("determiners", "articles") | words("determiners", "possessives") | words("determiners", "numbers")
    opens = names | words("relations", "prepositions") | {"and", "or", "just", "all"}
    known = first in opens or first in all_nouns() | words("verbs", "also_nouns") or is_adjective(first)
    plain = first.isalpha() and not first.endswith(("ing", "ed", "s"))
    return plain and not known and second in {"the", "this", "that", "it", *words("determiners", "possessives")}


def _ends_in_quality(lows: Sequence[str]) -> bool:
    """Whether a text ends as no caption does, in a thing's colour or pattern: "cat blue"."""
    if len(lows) < 2 or adjective_class(lows[-1]) not in ("colour", "pattern") or lows[-1] in all_nouns():
        return False
    before = lows[-2]
    joined = before in words("relations", "prepositions") or before in ("and", ",", "in")
    return not joined and not is_adjective(before) and before not in words("determiners", "articles")


def _measures(word: str) -> bool:
    return word in ("more", "less") or is_adjective(word) or word in pairs("comparatives", "words")
