"""What stands in the gaps of a sentence form: references, new things, qualities, places, poses, styles.

A reader takes the words of a gap and returns what they mean, or None where they cannot stand there. It knows words
only; whether the caption has such a thing is found out when the edit is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from undrift.instructions.caption import Part, Phrase, parse_parts
from undrift.instructions.english import indefinite, is_plural, preposition
from undrift.instructions.lexicon import (
    adjective_class,
    all_nouns,
    is_adjective,
    pairs,
    pose_class,
    read_table,
    verb_forms,
    words,
)
from undrift.instructions.tokens import Token, joined

_ARTICLES = words("determiners", "articles")
_POSSESSIVES = words("determiners", "possessives")
_NUMBERS = words("determiners", "numbers")
_DETERMINERS = _ARTICLES | _POSSESSIVES | _NUMBERS
_PRONOUNS = words("pronouns", "it")
_UNNAMED = frozenset({"everything", "all", "anything", "something", "nothing", "everyone", "somebody", "someone", "i", "you"})
_COLOUR_WORDS = frozenset({"colour", "color", "colours", "colors"})
_STOPS = frozenset({"and", ",", ";", "but", "or"})


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
        return not self.modifiers and self.noun in _PRONOUNS | _POSSESSIVES


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


@dataclass(frozen=True)
class Place:
    """Where: the preposition, None where the form leaves it open, and the thing."""

    preposition: str | None
    phrase: Phrase


@dataclass(frozen=True)
class Pose:
    """A pose in the words of a caption: ("lying", "down")."""

    words: tuple[str, ...]
    kind: str


Tokens = Sequence[Token]
Reader = Callable[[Tokens], Any]


def read_thing(tokens: Tokens) -> Reference | None:
    """One reference: a pronoun, or a noun phrase without "a"."""
    lows = [token.low for token in tokens]
    said = " ".join(joined(list(tokens)))
    if len(lows) == 1 and lows[0] in _PRONOUNS:
        return Reference(said, (), lows[0])
    if lows[0] in ("all", "both") and len(lows) > 1:
        return read_thing(tokens[2 if lows[1] == "of" else 1 :]) if len(lows) > 2 or lows[1] != "of" else None
    if any(low in _STOPS or low in _UNNAMED for low in lows) or lows[0] in ("a", "an") or lows[0] in _TO:
        return None
    if "'s" in lows:
        cut = len(lows) - 1 - lows[::-1].index("'s")
        owner = read_thing(tokens[:cut])
        rest = _plain(lows[cut + 1 :])
        return Reference(said, rest[:-1], rest[-1], owner=owner) if owner and rest else None
    cut = next((k for k in range(1, len(lows)) if _relation(lows[k:])), len(lows))
    rest = _named(lows[:cut])
    if rest is None:
        return None
    found = Reference(said, rest[1:-1] if rest[0] in _DETERMINERS else rest[:-1], rest[-1])
    if rest[0] in _NUMBERS - {"this", "that", "these", "those"}:
        found = replace(found, count=rest[0])
    if rest[0] in _POSSESSIVES:
        found = replace(found, owner=Reference(rest[0], (), rest[0]))
    if cut < len(lows):
        relation = _relation(lows[cut:])
        anchor = read_thing(tokens[cut + len(relation.split()) :]) if len(lows) > cut + len(relation.split()) else None
        return replace(found, beside=(relation, anchor)) if anchor else None
    return found


def read_gone(tokens: Tokens) -> tuple[Reference, ...] | None:
    """As ``read_things``; after "no" and "not", "a hat" is the one that is there."""
    return read_things(tokens[1:] if tokens[0].low in ("a", "an", "any", "more") and len(tokens) > 1 else tokens)


def read_owner(tokens: Tokens) -> tuple[Reference, ...] | None:
    """A possessive: "his"."""
    low = tokens[0].low
    return (Reference(low, (), low),) if len(tokens) == 1 and low in _POSSESSIVES else None


def read_things(tokens: Tokens) -> tuple[Reference, ...] | None:
    """One reference or several, joined by "and" and commas."""
    return _several(tokens, read_thing)


def read_new_things(tokens: Tokens) -> tuple[New, ...] | None:
    """One new thing or several, joined by "and" and commas."""
    return _several(tokens, read_new)


def read_new(tokens: Tokens) -> New | None:
    """One new thing; it gets "a" or "an" where it needs one and "the" only if there is no more than one of it."""
    lows = [token.low for token in tokens]
    if any(low in _UNNAMED | {";", "'s", "to", "into", "onto", "instead", "than"} or low in _PRONOUNS - {"that"} for low in lows):
        return None
    if any(low in ("it", "him", "them", "there", "not", "should", "must") for low in lows):
        return None
    parts = parse_parts(joined(list(tokens)))
    if not parts or parts[0].joiner or parts[0].phrase is None or not _is_name(parts[0].phrase):
        return None
    if any(_is_sentence(part) or (part.phrase and not _is_name(part.phrase)) for part in parts[1:]):
        return None
    if any(part.phrase is None and part.pose is None for part in parts):
        return None
    if any(part.phrase and _points_back(part.phrase) for part in parts[1:]):
        return None
    first = Part((), _introduced(parts[0].phrase))
    return New((first, *(replace(part, origin=None) for part in parts[1:])), definite=_points_back(parts[0].phrase))


def read_articled(tokens: Tokens) -> str | None:
    """Only an article, as a marker that a new thing follows."""
    return tokens[0].low if len(tokens) == 1 and tokens[0].low in ("a", "an", "the") else None


def read_quality(tokens: Tokens) -> tuple[str, ...] | None:
    """Qualities such as ("light", "blue") or ("small", "and", "red")."""
    lows = tuple(token.low for token in tokens)
    compared = pairs("comparatives", "words")
    plain = tuple(compared.get(low, low) for low in lows if low != "-")
    if plain and plain[-1] in _COLOUR_WORDS and len(plain) > 1:
        plain = plain[:-1]
    if not plain or plain[0] in _STOPS or plain[-1] in _STOPS:
        return None
    tidy = tuple("and" if word == "," else word for word in plain)
    known = all(word == "and" or is_adjective(word) for word in tidy)
    return tidy if known and adjective_class(tidy[-1]) else None


def read_material(tokens: Tokens) -> tuple[str, ...] | None:
    """A material as the words before a noun: ("wooden",), ("solid", "golden")."""
    lows = [token.low for token in tokens if token.low not in ("solid", "pure")]
    if len(lows) != 1:
        return None
    named = pairs("materials", "words").get(lows[0], lows[0])
    metals = ("gold", "silver", "bronze", "copper", "golden")
    return (named,) if adjective_class(named) == "material" or named in metals else None


def read_place(tokens: Tokens) -> Place | None:
    """A place with or without its preposition."""
    lows = [token.low for token in tokens]
    lead = _relation(lows) if lows[0] not in _DETERMINERS else ""
    lead = lead or (lows[0] if lows[0] in ("in", "on", "at", "inside") else "")
    rest = tokens[len(lead.split()) :]
    if rest and rest[0].low in ("something", "somewhere"):
        return None
    new = read_new(rest) if rest else None
    if new is None or len(new.parts) > 1:
        return None
    phrase = new.phrase
    if lead and rest[0].low == "the":
        phrase = replace(phrase, determiner="the")
    return Place(lead or None, phrase)


def read_located(tokens: Tokens) -> Place | None:
    """A known place with its preposition: "on a beach"."""
    place = read_place(tokens)
    known = place is not None and place.preposition is not None and preposition(place.phrase.noun) is not None
    return place if known else None


def read_time(tokens: Tokens) -> Place | None:
    """A time or weather: "night", "at sunset", "snow", "snowing"."""
    lows = [token.low for token in tokens]
    lows = [pairs("weather", "words").get(x, x) for x in lows]
    lead = lows[0] if lows[0] in ("at", "in", "during") and len(lows) > 1 else ""
    rest = lows[1:] if lead else lows
    rest = rest[1:] if rest[0] in ("the", "a") and len(rest) > 1 else rest
    if len(rest) != 1 or rest[0] not in words("nouns", "time_at") | words("nouns", "time_in") | {"snow"}:
        return None
    noun = rest[0]
    the = "the" if noun in ("rain", "snow", "fog", "mist", "moonlight", "sunshine") else "a" if noun == "storm" else ""
    return Place(preposition(noun), Phrase(the, (), noun))


def read_style(tokens: Tokens) -> str | None:
    """What a caption in a style begins with: "an oil painting", without "of"."""
    lows = [token.low for token in tokens]
    rest = lows[1:] if lows[0] in ("a", "an", "the") and len(lows) > 1 else lows
    rest = rest[:-1] if rest[-1] in ("style", "look") and len(rest) > 1 else rest
    known = pairs("styles", "words").get(" ".join(rest))
    if known:
        return known
    if rest[-1] in words("styles", "nouns") and all(_describes_style(word) for word in rest[:-1]):
        said = joined(list(tokens))[-len(rest) :] if lows[-1] == rest[-1] else rest
        return f"{indefinite(said[0], said[-1])} {' '.join(said)}".strip()
    return None


def read_artist(tokens: Tokens) -> str | None:
    """A name after "in the style of"."""
    if any(token.low in _STOPS | {";"} for token in tokens):
        return None
    return " ".join(joined(list(tokens)))


def read_pose(tokens: Tokens) -> Pose | None:
    """A pose that is known: "sit", "lying down", "look to the left"."""
    lows = [token.low for token in tokens]
    forms = verb_forms()
    verb = forms.get(lows[0], lows[0])
    kind = pose_class(verb)
    rest = [low for low in lows[1:] if low not in ("to", "the", "towards")]
    if kind is None or any(low not in words("verbs", "particles") for low in rest):
        return None
    if kind == "direction" and not rest:
        return None
    return Pose((verb, *rest), kind)


def read_side(tokens: Tokens) -> Pose | None:
    """Where somebody turns to."""
    low = tokens[0].low
    return Pose(("facing", low), "direction") if len(tokens) == 1 and low in ("left", "right") else None


def read_relation(tokens: Tokens) -> str | None:
    """Where one thing is to another, as captions say it."""
    said = " ".join(token.low for token in tokens)
    return pairs("relations", "words").get(said)


def read_count(tokens: Tokens) -> int | None:
    """A number of turns."""
    numbers = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    low = tokens[0].low
    if len(tokens) > 1:
        return None
    if low in numbers:
        return numbers.index(low) + 1
    return int(low) if low.isascii() and low.isdigit() and len(low) < 4 else None


def read_past(tokens: Tokens) -> str | None:
    """Whatever earlier pictures are called by."""
    said = " ".join(token.low for token in tokens)
    return None if {token.low for token in tokens} & _STOPS else said


def read_body_part(tokens: Tokens) -> str | None:
    """Where something is worn."""
    return tokens[0].low if len(tokens) == 1 and tokens[0].low in words("nouns", "body") else None


def references(value: object) -> tuple[Reference, ...]:
    """The references in what was read for a gap; none for other gaps."""
    if isinstance(value, Reference):
        return (value,)
    return value if isinstance(value, tuple) and all(isinstance(each, Reference) for each in value) else ()


READERS: dict[str, Reader] = {
    "thing": read_thing,
    "anchor": read_thing,
    "things": read_things,
    "gone": read_gone,
    "new": read_new_things,
    "owner": read_owner,
    "articled": read_articled,
    "quality": read_quality,
    "from": lambda tokens: tuple(token.low for token in tokens if token.low not in ("a", "an", "the")),
    "material": read_material,
    "place": read_place,
    "located": read_located,
    "time": read_time,
    "style": read_style,
    "artist": read_artist,
    "pose": read_pose,
    "side": read_side,
    "rel": read_relation,
    "count": read_count,
    "turn": read_count,
    "past": read_past,
    "bodypart": read_body_part,
}


def _several(tokens: Tokens, reader: Callable[[Tokens], Any]) -> tuple[Any, ...] | None:
    """What ``reader`` makes of the words, whole if it can, else of the parts between "and" and commas."""
    whole = reader(tokens)
    if whole is not None:
        return (whole,)
    for place, token in enumerate(tokens):
        if token.low not in ("and", ",") or not 0 < place < len(tokens) - 1:
            continue
        first = reader(tokens[:place])
        after = place + 2 if token.low == "," and tokens[place + 1].low == "and" else place + 1
        rest = _several(tokens[after:], reader) if first is not None and after < len(tokens) else None
        if rest is not None:
            return (first, *rest)
    return None


def _named(lows: list[str]) -> tuple[str, ...] | None:
    """The words of a noun phrase, None if they are none."""
    rest = lows[1:] if lows and lows[0] in _DETERMINERS else lows
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


def _relation(lows: list[str]) -> str:
    """The relation that the words begin with, as it was said; empty if there is none."""
    known = [*pairs("relations", "words"), "of", "with", "wearing", "in", "from"]
    return max((said for said in known if lows[: len(said.split())] == said.split()), key=len, default="")


def _introduced(phrase: Phrase) -> Phrase:
    low = phrase.determiner.lower()
    if not low and phrase.noun[:1].isupper():
        return phrase
    definite = low in ("the", *_POSSESSIVES, "this", "that")
    if low and not (definite and phrase.noun.lower() not in words("nouns", "unique")):
        return phrase.agreeing() if low in ("a", "an") else phrase
    said = (*phrase.modifiers, phrase.noun)
    return replace(phrase, determiner=indefinite(said[0], phrase.noun))


def _is_name(phrase: Phrase) -> bool:
    """Whether the words can name a thing: no verb form, no pronoun, a noun at the end."""
    lows = [word.lower() for word in (*phrase.modifiers, phrase.noun)]
    if any(low in _PRONOUNS | _TO | _COLOUR_WORDS | _COMMANDS or low in ("next", "more", "less") for low in lows):
        return False
    if any(low in verb_forms() and low not in all_nouns() and not is_adjective(low) for low in lows):
        return False
    if lows[-1] in ("one", "ones"):
        return len(lows) > 1 and is_adjective(lows[0])
    if lows[-1] in _HALVES or lows[-1] in pairs("comparatives", "words") or any(low in _DETERMINERS for low in lows):
        return False
    return lows[-1] in all_nouns() or is_plural(lows[-1]) or not is_adjective(lows[-1])


def _points_back(phrase: Phrase) -> bool:
    """Whether a phrase names something that is there already, as "the sofa" does."""
    definite = phrase.determiner.lower() in ("the", *_POSSESSIVES)
    return definite and phrase.noun.lower() not in words("nouns", "unique")


def _is_sentence(part: Part) -> bool:
    return part.lead in ("and", ",") or any(word.lower() in words("verbs", "finite") for word in part.joiner)


def _describes_style(word: str) -> bool:
    return is_adjective(word) or any(word in name.split() for name in pairs("styles", "words")) or word in (
        "digital", "3d", "classic", "classical", "renaissance", "baroque", "victorian", "japanese", "chinese", "abstract",
        "expressionist", "art", "nouveau", "deco", "disney", "pixar", "children", "book", "pen", "and", "coloured",
        "colored", "graphite", "surreal", "fantasy", "film", "polaroid", "color", "colour", "stained",
    )


def _commands() -> frozenset[str]:
    groups = read_table("forms.toml")["words"]
    verbs = ("make", "change", "replace", "remove", "add", "put")
    said = {word for name in verbs for choice in groups[name].split("|") for word in choice.split()[:1]}
    return (frozenset(said) | {"give", "let", "get", "go", "undo"}) - all_nouns() - {"light", "clear", "include"}


_TO = frozenset({"to", "into", "should", "must", "could", "can", "be", "is", "are", "do", "not", "than", "then", ";", "instead"})
_MEASURES = frozenset({"more", "less", "much", "very", "bit", "all", "only", "background", "keep", "leave"})
_NEVER_NAMED = _DETERMINERS | _PRONOUNS | _TO | _COLOUR_WORDS | _MEASURES | words("relations", "prepositions")
_HALVES = frozenset({"next", "left", "right", "front", "top", "side", "close", "near"})
"""Words that end a broken-off relation, not a thing."""
_COMMANDS = _commands()
