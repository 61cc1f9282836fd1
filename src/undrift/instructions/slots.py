"""What stands in the gaps of a sentence form: references, new things, qualities, places, poses, styles.

A reader takes the words of a gap and returns what they mean, or None where they cannot stand there. It knows words
only; whether the caption has such a thing is found out when the edit is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from undrift.instructions.caption import PLACED, Phrase
from undrift.instructions.checks import is_wearable
from undrift.instructions.english import indefinite, is_plural, preposition
from undrift.instructions.lexicon import (
    adjective_class,
    compared,
    is_adjective,
    pairs,
    pose_class,
    verb_forms,
    words,
)
from undrift.instructions.names import (
    COLOUR_WORDS,
    DETERMINERS,
    POSSESSIVES,
    STOPS,
    New,
    Reference,
    Tokens,
    read_new,
    read_thing,
    relation_at,
)
from undrift.instructions.tokens import joined
from undrift.littleworld.scenes import POSES


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


@dataclass(frozen=True)
class Changed:
    """A thing of the caption, and qualities that it is to get."""

    thing: Reference
    quality: tuple[str, ...]


Reader = Callable[[Tokens], Any]


def read_gone(tokens: Tokens) -> tuple[Reference, ...] | None:
    """As ``read_things``; after "no" and "not", "a hat" is the one that is there."""
    return read_things(tokens[1:] if tokens[0].low in ("a", "an", "any", "more") and len(tokens) > 1 else tokens)


def read_owner(tokens: Tokens) -> tuple[Reference, ...] | None:
    """A possessive: "his"."""
    low = tokens[0].low
    return (Reference(low, (), low),) if len(tokens) == 1 and low in POSSESSIVES else None


def read_things(tokens: Tokens) -> tuple[Reference, ...] | None:
    """One reference or several, joined by "and" and commas."""
    return _several(tokens, read_thing)


def read_new_things(tokens: Tokens) -> tuple[New, ...] | None:
    """One new thing or several, joined by "and" and commas.

    Not "a desk and the window", of which the second is there already and begins another edit.
    """
    new = _several(tokens, read_new)
    mixed = new is not None and not new[0].definite and any(each.definite for each in new[1:])
    return None if mixed else new


def read_several_new(tokens: Tokens) -> tuple[New, ...] | None:
    """A new thing in the plural, without an article: "red roses"."""
    new = read_new(tokens)
    several = new is not None and is_plural(new.phrase.noun) and not new.phrase.determiner
    return (new,) if new is not None and several else None


def read_articled(tokens: Tokens) -> str | None:
    """Only "a" or "an", as a marker that a new thing follows."""
    return tokens[0].low if len(tokens) == 1 and tokens[0].low in ("a", "an") else None


def read_quality(tokens: Tokens) -> tuple[str, ...] | None:
    """Qualities such as ("light", "blue") or ("small", "and", "red")."""
    lows = tuple(token.low for token in tokens)
    plain = tuple(compared(low) or low for low in lows if low != "-")
    if plain and plain[-1] in COLOUR_WORDS and len(plain) > 1:
        plain = plain[:-1]
    if not plain or plain[0] in STOPS or plain[-1] in STOPS:
        return None
    tidy = tuple("and" if word == "," else word for word in plain)
    known = all(word == "and" or is_adjective(word) for word in tidy)
    return tidy if known and adjective_class(tidy[-1]) else None


def read_lacked(tokens: Tokens) -> tuple[str, ...] | None:
    """Qualities, or the words of a pose, that something is to lose: ("striped",), ("jumping",)."""
    said, pose = read_quality(tokens), read_pose(tokens)
    return said or (pose.words if pose is not None else None)


def read_changed(tokens: Tokens) -> Changed | None:
    """A thing of the caption with new qualities, "a wooden table"."""
    lows = [token.low for token in tokens]
    rest = tokens[1:] if lows[0] in ("a", "an", "the") and len(lows) > 2 else tokens
    said = read_quality(rest[:-1]) if len(rest) > 1 else None
    thing = read_thing(rest[-1:])
    return None if said is None or thing is None or thing.is_pronoun else Changed(thing, said)


def read_pattern(tokens: Tokens) -> tuple[str, ...] | None:
    """What has a pattern, by what is on it: "polka dots"."""
    said = pairs("patterns", "words").get(" ".join(token.low for token in tokens))
    return None if said is None else (said,)


def read_patterning(tokens: Tokens) -> tuple[str, ...] | None:
    """A pattern by its name or by what is on it: "dotted", "dots"; "none" is a plain one."""
    low = tokens[0].low
    if len(tokens) == 1 and (adjective_class(low) == "pattern" or low == "none"):
        return ("plain",) if low == "none" else (low,)
    return read_pattern(tokens)


def read_clothes(tokens: Tokens) -> tuple[New, ...] | None:
    """New things that are worn, and only such."""
    new = read_new_things(tokens)
    return new if new is not None and all(len(each.parts) == 1 and is_wearable(each.phrase) for each in new) else None


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
    lead = relation_at(lows) if lows[0] not in DETERMINERS else ""
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
    """A known place with its preposition: "on a beach"; "behind the house" is where a thing is, not the picture."""
    place = read_place(tokens)
    if place is None or place.preposition not in PLACED:
        return None
    return place if preposition(place.phrase.noun) is not None else None


def read_time(tokens: Tokens) -> Place | None:
    """A time or weather: "night", "at sunset", "snow", "snowing", "a night scene"."""
    lows = [token.low for token in tokens]
    lows = [pairs("weather", "words").get(x, x) for x in lows]
    pictures = {"time", *words("styles", "settings"), *words("styles", "nouns")}
    lows = lows[:-1] if lows[-1] in pictures and len(lows) > 1 else lows
    lead = lows[0] if lows[0] in ("at", "in", "during") and len(lows) > 1 else ""
    rest = lows[1:] if lead else lows
    rest = rest[1:] if rest[0] in ("the", "a") and len(rest) > 1 else rest
    if len(rest) != 1 or rest[0] not in words("nouns", "time_at") | words("nouns", "time_in") | {"snow"}:
        return None
    noun = rest[0]
    the = (
        "the" if noun in ("rain", "snow", "fog", "mist", "moonlight", "sunshine") else "a" if noun == "storm" else ""
    )
    return Place(preposition(noun), Phrase(the, (), noun))


def read_weather(tokens: Tokens) -> Place | None:
    """A weather or light that can be added, not a time of day: "snow"."""
    time = read_time(tokens) if len(tokens) == 1 else None
    added = time is not None and time.phrase.noun in words("nouns", "mass")
    return time if added else None


def read_style(tokens: Tokens) -> str | None:
    """What a caption in a style begins with: "an oil painting", without "of"; "" for "a normal picture"."""
    lows = [token.low for token in tokens]
    rest = lows[1:] if lows[0] in ("a", "an", "the") and len(lows) > 1 else lows
    rest = rest[:-1] if rest[-1] in ("style", "look", "version", "effect") and len(rest) > 1 else rest
    if rest[0] in words("styles", "normal") and rest[1:] in ([], ["picture"], ["image"]):
        return ""
    known = pairs("styles", "words").get(" ".join(rest))
    if known:
        return known
    if len(rest) > 2 and rest[-2] in ("in", "with"):
        return _in_medium(rest[:-2], rest[-1])
    if rest[-1] in words("styles", "nouns") and all(_describes_style(word) for word in rest[:-1]):
        said = joined(list(tokens))[-len(rest) :] if lows[-1] == rest[-1] else rest
        return f"{indefinite(said[0], said[-1])} {' '.join(said)}".strip()
    return None


def read_normal(tokens: Tokens) -> str | None:
    """No style at all: "a normal picture"."""
    return "" if read_style(tokens) == "" else None


def read_artist(tokens: Tokens) -> str | None:
    """A name after "in the style of"."""
    if any(token.low in STOPS | {";"} for token in tokens):
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


def read_doing(tokens: Tokens) -> Pose | None:
    """A pose as what somebody does: "sits down"."""
    low = tokens[0].low
    base = next((base for base in verb_forms() if low in (f"{base}s", f"{base}es")), None)
    return None if base is None else read_pose([replace(tokens[0], text=base, low=base), *tokens[1:]])


def read_posing(tokens: Tokens) -> Pose | None:
    """A pose before what takes it: "jumping" of "a jumping cat"."""
    low = tokens[0].low
    return Pose((low,), "posture") if len(tokens) == 1 and pose_class(low) == "posture" else None


def read_act(tokens: Tokens) -> Pose | None:
    """A pose of the drawn world as a command: "jump"; of others, such as "park", nobody knows."""
    form = verb_forms().get(tokens[0].low)
    return Pose((form,), "posture") if len(tokens) == 1 and form is not None and form in POSES else None


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
    low = {"once": "one", "twice": "two"}.get(tokens[0].low, tokens[0].low)
    if len(tokens) > 1:
        return None
    if low in numbers:
        return numbers.index(low) + 1
    return int(low) if low.isascii() and low.isdigit() and len(low) < 4 else None


def read_past(tokens: Tokens) -> str | None:
    """Whatever earlier pictures are called by."""
    said = " ".join(token.low for token in tokens)
    return None if {token.low for token in tokens} & STOPS else said


def read_body_part(tokens: Tokens) -> str | None:
    """Where something is worn."""
    return tokens[0].low if len(tokens) == 1 and tokens[0].low in words("nouns", "body") else None


READERS: dict[str, Reader] = {
    "thing": read_thing,
    "anchor": read_thing,
    "things": read_things,
    "gone": read_gone,
    "new": read_new_things,
    "several": read_several_new,
    "owner": read_owner,
    "articled": read_articled,
    "quality": read_quality,
    "old": read_quality,
    "lacked": read_lacked,
    "changed": read_changed,
    "pattern": read_pattern,
    "unlike": read_pattern,
    "patterning": read_patterning,
    "clothes": read_clothes,
    "weather": read_weather,
    "from": lambda tokens: tuple(token.low for token in tokens if token.low not in ("a", "an", "the")),
    "material": read_material,
    "place": read_place,
    "located": read_located,
    "time": read_time,
    "style": read_style,
    "normal": read_normal,
    "formerly": read_style,
    "artist": read_artist,
    "pose": read_pose,
    "doing": read_doing,
    "posing": read_posing,
    "act": read_act,
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


def _in_medium(named: list[str], medium: str) -> str | None:
    """A style by what it is made with: "drawing" and "pencil" of "a drawing in pencil"."""
    known = pairs("styles", "words").get(medium)
    if known is None or len(named) > 1 or named[0] not in words("styles", "nouns"):
        return None
    fits = named[0] in known.split() or named[0] in ("picture", "image")
    return known if fits else f"{indefinite(medium, named[0])} {medium} {named[0]}"


def _describes_style(word: str) -> bool:
    named = any(word in name.split() for name in pairs("styles", "words"))
    return named or is_adjective(word) or word in words("styles", "describing")
