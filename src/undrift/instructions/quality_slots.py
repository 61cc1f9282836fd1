"""What stands in the gaps that qualities fill: colours, patterns, materials, and what is to lose them."""

from __future__ import annotations

from dataclasses import dataclass

from undrift.instructions.lexicon import adjective_class, compared, is_adjective, pairs
from undrift.instructions.names import COLOUR_WORDS, STOPS, Reference, Tokens, read_thing
from undrift.instructions.pose_slots import read_pose


@dataclass(frozen=True)
class Changed:
    """A thing of the caption, and qualities that it is to get."""

    thing: Reference
    quality: tuple[str, ...]


def read_quality(tokens: Tokens) -> tuple[str, ...] | None:
    """Qualities such as ("light", "blue") or ("small", "and", "red")."""
    lows = tuple(token.low for token in tokens)
    if "with" in lows[1:-1]:
        place = lows.index("with")
        said, pattern = read_quality(tokens[:place]), read_pattern(tokens[place + 1 :])
        return (*pattern, *said) if said is not None and pattern is not None else None
    plain = tuple(compared(low) or _known(low) for low in lows if low != "-")
    if plain and plain[-1] in COLOUR_WORDS and len(plain) > 1:
        plain = plain[:-1]
    if not plain or plain[0] in STOPS or plain[-1] in STOPS:
        return None
    tidy = tuple("and" if word == "," else word for word in plain)
    known = all(word == "and" or is_adjective(word) for word in tidy)
    return tidy if known and adjective_class(tidy[-1]) else None


def read_other(tokens: Tokens) -> tuple[str, ...] | None:
    """Qualities of what is there, by themselves or as "an orange one"."""
    rest = tokens[1:] if tokens[0].low in ("a", "an", "the") else tokens
    rest = rest[:-1] if rest and rest[-1].low in ("one", "ones") else rest
    return read_quality(rest if len(rest) < len(tokens) - 1 else tokens) if rest else None


def _known(word: str) -> str:
    """A pattern by the name that is known, "striped" for "stripy"; other words as they are."""
    return word if is_adjective(word) else pairs("patterns", "akin").get(word, word)


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


def read_fragment(tokens: Tokens) -> Changed | None:
    """As ``read_changed``, but never "the wooden table", which is one that is there."""
    return None if tokens[0].low == "the" else read_changed(tokens)


def read_pattern(tokens: Tokens) -> tuple[str, ...] | None:
    """What has a pattern, by what is on it: "polka dots"."""
    said = pairs("patterns", "words").get(" ".join(token.low for token in tokens))
    return None if said is None else (said,)


def read_stripe(tokens: Tokens) -> tuple[str, ...] | None:
    """A pattern by the verb that makes it: "stripe", "dot"."""
    said = pairs("patterns", "verbs").get(tokens[0].low) if len(tokens) == 1 else None
    return None if said is None else (said,)


def read_patterning(tokens: Tokens) -> tuple[str, ...] | None:
    """A pattern by its name or by what is on it: "dotted", "dots"; "none" is a plain one."""
    low = tokens[0].low
    if len(tokens) == 1 and (adjective_class(low) == "pattern" or low == "none"):
        return ("plain",) if low == "none" else (low,)
    return read_pattern(tokens)


def read_material(tokens: Tokens) -> tuple[str, ...] | None:
    """A material as the words before a noun: ("wooden",), ("solid", "golden")."""
    lows = [token.low for token in tokens if token.low not in ("solid", "pure")]
    if len(lows) != 1:
        return None
    named = pairs("materials", "words").get(lows[0], lows[0])
    metals = ("gold", "silver", "bronze", "copper", "golden")
    return (named,) if adjective_class(named) == "material" or named in metals else None
