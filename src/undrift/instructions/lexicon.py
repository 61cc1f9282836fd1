"""The words of ``lexicon.toml`` by what they are; LittleWorld's own are added from its scenes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from undrift.littleworld.scenes import COLOURS, COMPANIONS, SUBJECTS, WEARABLES

Pairs = Mapping[str, str]

SHORT = 4
"""Up to so many letters, only two swapped letters or a missing one are a slip: short words have many neighbours."""


@cache
def read_table(name: str) -> dict[str, Any]:
    """A data file of this package, parsed."""
    return tomllib.loads(files("undrift.instructions").joinpath(name).read_text(encoding="utf-8"))


@cache
def words(section: str, name: str) -> frozenset[str]:
    """The words of one entry of ``lexicon.toml``."""
    return frozenset(str(read_table("lexicon.toml")[section][name]).split()) | _EXTRA.get(
        (section, name), frozenset()
    )


@cache
def phrases(section: str, name: str) -> tuple[str, ...]:
    """The entries, separated by ``|``, of one entry of ``lexicon.toml``."""
    parts = str(read_table("lexicon.toml")[section][name]).split("|")
    return tuple(" ".join(part.split()) for part in parts)


@cache
def pairs(section: str, name: str) -> Pairs:
    """The entries of the form ``this/that``; separated by ``|`` where they contain spaces, else by white space."""
    text = str(read_table("lexicon.toml")[section][name])
    entries = phrases(section, name) if "|" in text else tuple(text.split())
    return {entry.split("/")[0]: entry.split("/")[1] for entry in entries}


_EXTRA = {
    ("adjectives", "colour"): frozenset(COLOURS),
    ("nouns", "wearable"): frozenset(WEARABLES),
    ("nouns", "thing"): frozenset((*SUBJECTS, *COMPANIONS)),
}


@cache
def adjective_class(word: str) -> str | None:
    """The class of a quality, such as "colour" for "blue"; None for other words."""
    return next((name for name in _adjectives() if name != "shade" and word in words("adjectives", name)), None)


def is_adjective(word: str) -> bool:
    """Whether a word can stand before a noun as a quality, or before a colour as its shade."""
    return adjective_class(word) is not None or word in words("adjectives", "shade")


@cache
def compared(word: str) -> str | None:
    """The quality that a comparative asks for, "fat" for "fatter"; None for a word that is none."""
    listed = pairs("comparatives", "words").get(word)
    if listed or not word.endswith("er") or is_adjective(word):
        return listed
    stem = word.removesuffix("er")
    bases = (
        stem,
        f"{stem}e",
        stem[:-1] if stem[-1:] == stem[-2:-1] else "",
        f"{stem[:-1]}y" if stem[-1:] == "i" else "",
    )
    return next(
        (
            base
            for base in bases
            if adjective_class(base) and word not in all_nouns() and base not in words("comparatives", "vague")
        ),
        None,
    )


@cache
def all_nouns() -> frozenset[str]:
    """Every noun that is listed."""
    tables = ("irregular", "synonyms", "akin", "akin_kinds")
    lists = (name for name in read_table("lexicon.toml")["nouns"] if name not in tables)
    return frozenset().union(*(words("nouns", name) for name in lists), pairs("nouns", "irregular"))


@cache
def verb_forms() -> Pairs:
    """Base form to participle of every verb that is listed."""
    return {
        base: form
        for name in ("posture", "direction", "expression", "other")
        for base, form in pairs("verbs", name).items()
    }


def pose_class(participle: str) -> str | None:
    """ "posture", "direction" or "expression" for a participle that says how something stands; None for others."""
    return next(
        (name for name in ("posture", "direction", "expression") if participle in pairs("verbs", name).values()), None
    )


def opposites(word: str) -> frozenset[str]:
    """The qualities that "make it ``word``" takes the place of, beyond those of its class."""
    groups = (entry.split("/") for entry in str(read_table("lexicon.toml")["classes"]["exclusive"]).split())
    return frozenset().union(*(group for group in groups if word in group)) - {word}


@cache
def vocabulary() -> frozenset[str]:
    """Every word that is listed anywhere, and the words of the sentence forms."""
    lexicon = read_table("lexicon.toml")
    texts = [str(text) for section in lexicon.values() for text in section.values()]
    texts += template_texts()
    listed = {word for text in texts for word in _letters(text)}
    return frozenset(listed) | frozenset().union(*_EXTRA.values()) | {f"{noun}s" for noun in all_nouns()}


@cache
def template_texts() -> tuple[str, ...]:
    """Every template and choice of words of the sentence forms and the moods."""
    forms, moods = read_table("forms.toml"), read_table("moods.toml")
    openings = (text for opening in forms["openings"].values() for text in opening)
    said = (text for entry in (*forms["form"], *moods["rule"]) for text in entry["say"])
    return (*forms["words"].values(), *moods["words"].values(), *openings, *said)


def nearest(word: str, also: Iterable[str] = ()) -> str | None:
    """The known word that ``word`` is probably a slip of; None for a known word and for one that is like none.

    Args:
        word: lower-case.
        also: words that count as known as well, such as those of the caption; they are preferred.
    """
    nearby = tuple(dict.fromkeys(also))
    if word in vocabulary() or word in nearby or len(word) < 3 or not word.isalpha() or _is_inflected(word):
        return None
    slips = (
        other
        for known in (nearby, sorted(vocabulary()))
        for like in (is_slip, _slipped)
        for other in known
        if like(word, other)
    )
    return next(slips, None)


def is_slip(word: str, other: str) -> bool:
    """Whether ``word`` is ``other`` with letters missing, doubled or swapped, none of them another one."""
    if len(other) < 3 or abs(len(word) - len(other)) > 2:
        return False
    added = len(word) > SHORT and _lacks_one(other, word)
    return _is_swapped(word, other) or _lacks_one(word, other) or added or _single(word) == _single(other)


def _is_inflected(word: str) -> bool:
    """Whether a word is a known one with an ending: "needs", "fatter"."""
    return (
        compared(word) is not None
        or (word.endswith("s") and word.removesuffix("s") in vocabulary())
        or any(base in vocabulary() for base in base_forms(word))
        or (word.endswith("ed") and not verb_forms().keys().isdisjoint((word[:-1], word[:-2])))
    )


def base_forms(word: str) -> tuple[str, ...]:
    """What a word in "-ing" may be a form of: "turn" of "turning", "make" of "making", "put" of "putting"."""
    stem = word.removesuffix("ing")
    if stem == word or len(stem) < 3:
        return ()
    return (stem, f"{stem}e", *((stem[:-1],) if stem[-1] == stem[-2] else ()))


def _adjectives() -> Iterable[str]:
    return tuple(read_table("lexicon.toml")["adjectives"])


def _letters(text: str) -> list[str]:
    return "".join(letter if letter.isalpha() or letter in "-'" else " " for letter in text).split()


def _slipped(word: str, other: str) -> bool:
    """Whether ``word`` is ``other`` with a letter missing, added or wrong, two swapped, or doubles left out."""
    if len(other) < 3 or abs(len(word) - len(other)) > 2:
        return False
    if _is_swapped(word, other) or _lacks_one(word, other):
        return True
    if len(word) <= SHORT:
        return False
    wrong = len(word) == len(other) and sum(a != b for a, b in zip(word, other, strict=True)) == 1
    return wrong or _lacks_one(other, word) or _single(word) == _single(other)


def _is_swapped(word: str, other: str) -> bool:
    if len(word) != len(other):
        return False
    differing = [place for place, (a, b) in enumerate(zip(word, other, strict=True)) if a != b]
    return (
        len(differing) == 2
        and differing[1] - differing[0] == 1
        and (word[differing[0]], word[differing[1]]) == (other[differing[1]], other[differing[0]])
    )


def _lacks_one(word: str, other: str) -> bool:
    return len(other) == len(word) + 1 and any(other[:k] + other[k + 1 :] == word for k in range(len(other)))


def _single(word: str) -> str:
    """A word with every run of a letter cut to one: "balloon" is "balon"."""
    return "".join(letter for letter, before in zip(word, " " + word, strict=False) if letter != before)
