"""What stands in the gaps of a sentence form: references, new things, where, how many; and all readers by their gap.

A reader takes the words of a gap and returns what they mean, or None where they cannot stand there. It knows words
only; whether the caption has such a thing is found out when the edit is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from undrift.instructions.caption import Part, Phrase
from undrift.instructions.checks import is_wearable
from undrift.instructions.english import indefinite, is_plural
from undrift.instructions.lexicon import adjective_class, all_nouns, pairs, words
from undrift.instructions.names import POSSESSIVES, STOPS, New, Reference, Tokens, read_thing
from undrift.instructions.new_names import read_new
from undrift.instructions.pose_slots import read_act, read_doing, read_pose, read_posing, read_side
from undrift.instructions.quality_slots import (
    read_changed,
    read_fragment,
    read_lacked,
    read_material,
    read_other,
    read_pattern,
    read_patterning,
    read_quality,
    read_stripe,
)
from undrift.instructions.scene_slots import (
    read_artist,
    read_elsewhere,
    read_leaving,
    read_located,
    read_normal,
    read_place,
    read_scenic,
    read_sketching,
    read_style,
    read_time,
    read_weather,
)

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


def read_clothes(tokens: Tokens) -> tuple[New, ...] | None:
    """New things that are worn, and only such."""
    new = read_new_things(tokens)
    return new if new is not None and all(len(each.parts) == 1 and is_wearable(each.phrase) for each in new) else None


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


def read_numbered(tokens: Tokens) -> int | None:
    """A turn by its number: "#1"."""
    low = tokens[0].low.removeprefix("#")
    return int(low) if len(tokens) == 1 and low.isascii() and low.isdigit() and len(low) < 4 else None


def read_past(tokens: Tokens) -> str | None:
    """Whatever earlier pictures are called by."""
    said = " ".join(token.low for token in tokens)
    return None if {token.low for token in tokens} & STOPS else said


def read_number(tokens: Tokens) -> str | None:
    """How many of something: "three"."""
    low = tokens[0].low
    return low if len(tokens) == 1 and low in words("determiners", "counting") else None


def read_earlier(tokens: Tokens) -> str | None:
    """An earlier picture by its place alone: "the first version", "the previous one"."""
    lows = [token.low for token in tokens]
    telling = [low for low in lows if low in words("steps", "earlier")]
    shown = words("steps", "shown") | {"the", "very", "one", "my"}
    known = len(telling) == 1 and all(low in shown or low in telling for low in lows)
    return " ".join(lows) if known and (len(lows) > 1 or lows[0] == "original") else None


def read_becoming(tokens: Tokens) -> New | None:
    """One word that names a colour and a thing: "rainbow", "orange"."""
    low = tokens[0].low
    both = len(tokens) == 1 and low in all_nouns() and adjective_class(low) == "colour"
    return New((Part((), Phrase(indefinite(low, low), (), low)),)) if both else None


def read_noun(tokens: Tokens) -> tuple[New, ...] | None:
    """A thing by one word that is listed, and that is neither a place nor a part of a body."""
    low = tokens[0].low
    listed = len(tokens) == 1 and low in all_nouns() - words("nouns", "body") and read_elsewhere(tokens) is None
    return read_new_things(tokens) if listed else None


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
    "old": read_other,
    "lacked": read_lacked,
    "changed": read_changed,
    "pattern": read_pattern,
    "unlike": read_pattern,
    "stripe": read_stripe,
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
    "numbered": read_numbered,
    "past": read_past,
    "earlier": read_earlier,
    "number": read_number,
    "former": read_number,
    "becoming": read_becoming,
    "noun": read_noun,
    "scenic": read_scenic,
    "fragment": read_fragment,
    "elsewhere": read_elsewhere,
    "leaving": read_leaving,
    "sketching": read_sketching,
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
