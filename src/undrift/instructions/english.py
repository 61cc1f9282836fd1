"""What English asks of a noun phrase: articles, number, and the preposition of a place."""

from __future__ import annotations

from undrift.instructions.lexicon import pairs, words

VOWELS = "aeiou"


def article(following: str) -> str:
    """ "a" or "an", whichever goes before the word ``following``."""
    word = following.lower()
    if word in words("determiners", "vowel_sound"):
        return "an"
    return "an" if word[:1] in VOWELS and word not in words("determiners", "consonant_sound") else "a"


def is_plural(noun: str) -> bool:
    """Whether a noun names several things, or takes no "a" as "glasses" does."""
    word = noun.lower()
    if word in words("nouns", "plural") or word in pairs("nouns", "irregular"):
        return True
    if word in words("nouns", "singular") or word in words("nouns", "mass"):
        return False
    return len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))


def is_mass(noun: str) -> bool:
    """Whether a noun is a substance, which is not counted: "grass", "coffee"."""
    return noun.lower() in words("nouns", "mass")


def spelt(word: str) -> str:
    """A word in lower case and British spelling, so that "gray" is "grey"."""
    low = word.lower()
    return pairs("spelling", "british").get(low, low)


def singular(noun: str) -> str:
    """The form of a noun under which "dog" and "dogs" are the same, and "armor" and "armour"."""
    return spelt(_singular(noun.lower()))


def _singular(word: str) -> str:
    if word in pairs("nouns", "irregular"):
        return pairs("nouns", "irregular")[word]
    if not is_plural(word) or word in words("nouns", "plural"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word.removesuffix("s")


def same_noun(one: str, other: str) -> bool:
    """Whether two nouns name the same kind of thing, whatever their number; "bike" is "bicycle"."""
    synonyms = pairs("nouns", "synonyms")
    first, second = singular(one), singular(other)
    return first == second or synonyms.get(first, first) == synonyms.get(second, second)


def akin(one: str, other: str) -> bool:
    """Whether one noun may be said for the other: "kitty" for "cat", "jacket" for "coat"."""
    names = pairs("nouns", "akin")
    first, second = singular(one), singular(other)
    return names.get(one, names.get(first, first)) == names.get(other, names.get(second, second))


def indefinite(noun_phrase_start: str, noun: str) -> str:
    """The article that a thing gets where nobody gave it one: "a", "an", or none for several and for substances."""
    return (
        ""
        if is_plural(noun) or is_mass(noun) or noun.lower() in words("nouns", "proper")
        else article(noun_phrase_start)
    )


def preposition(noun: str) -> str | None:
    """How one is at a place: "on" a beach, "in" a city, "at" night; None for a noun that is no known place."""
    word = singular(noun)
    names = {"on": "on", "in": "in", "front": "in front of", "time_at": "at", "time_in": "in"}
    return next((said for name, said in names.items() if {word, noun.lower()} & words("nouns", name)), None)


def excludes(one: str, other: str) -> bool:
    """Whether of two times or weathers a picture has one only: night or dawn, rain or fog, but rain at night."""
    return bool(_time_kinds(one.lower()) & _time_kinds(other.lower()))


def _time_kinds(noun: str) -> set[str]:
    found = {name for name in ("weather", "season") if noun in words("nouns", name)}
    return found | {"day"} if not found or noun in words("nouns", "light") else found


def is_time(noun: str) -> bool:
    """Whether a noun says when or in which weather, not where."""
    return noun.lower() in words("nouns", "time_at") | words("nouns", "time_in")
