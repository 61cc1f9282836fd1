"""What stands in the gaps that speak of the whole picture: its place, time and weather, and its style."""

from __future__ import annotations

from dataclasses import dataclass, replace

from undrift.instructions.caption import PLACED, Phrase
from undrift.instructions.english import indefinite, preposition, singular
from undrift.instructions.lexicon import is_adjective, pairs, words
from undrift.instructions.names import DETERMINERS, STOPS, Tokens, relation_at
from undrift.instructions.new_names import read_new
from undrift.instructions.tokens import joined


@dataclass(frozen=True)
class Place:
    """Where: the preposition, None where the form leaves it open, and the thing."""

    preposition: str | None
    phrase: Phrase


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


def read_scenic(tokens: Tokens) -> Place | None:
    """A known place, of "city background"."""
    place = read_place(tokens)
    if place is None or preposition(place.phrase.noun) is None:
        return None
    return place if all(map(is_adjective, place.phrase.modifiers)) else None


def read_elsewhere(tokens: Tokens) -> Place | None:
    """A place that can be nothing else, "beach"; a boat or a moon can be a thing."""
    place = read_scenic(tokens)
    things = words("nouns", "thing") | words("nouns", "body") | words("nouns", "sky") | words("nouns", "front")
    return None if place is None or singular(place.phrase.noun) in things else place


def read_leaving(tokens: Tokens) -> tuple[str, ...] | None:
    """The place that a picture is to leave, of "beach to desert"."""
    place = read_elsewhere(tokens)
    return None if place is None else (place.phrase.noun.lower(),)


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
    rest = rest[:-1] if rest[-1] in ("style", "look", "version", "effect", "one") and len(rest) > 1 else rest
    if rest[0] in words("styles", "normal") and rest[1:] in ([], ["picture"], ["image"]):
        return ""
    known = pairs("styles", "words").get(" ".join(rest))
    if known:
        return known
    if len(rest) > 2 and rest[-2] in ("in", "with"):
        return _in_medium(rest[:-2], rest[-1])
    if lows in (["picture"], ["image"]):
        return None  # "great picture"
    if rest[-1] in words("styles", "nouns") and all(_describes_style(word) for word in rest[:-1]):
        said = joined(list(tokens))[-len(rest) :] if lows[-1] == rest[-1] else rest
        return f"{indefinite(said[0], said[-1])} {' '.join(said)}".strip()
    return None


def read_normal(tokens: Tokens) -> str | None:
    """No style at all: "a normal picture"."""
    return "" if read_style(tokens) == "" else None


def read_sketching(tokens: Tokens) -> str | None:
    """A style by what makes it: "sketch" of "sketch it"."""
    return "a sketch" if [token.low for token in tokens] in (["sketch"], ["doodle"]) else None


def read_artist(tokens: Tokens) -> str | None:
    """A name after "in the style of"."""
    if any(token.low in STOPS | {";"} for token in tokens):
        return None
    return " ".join(joined(list(tokens)))


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
