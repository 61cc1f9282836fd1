"""Qualities: which ones exclude each other, where they stand, and what a thing takes over from another."""

from __future__ import annotations

from dataclasses import replace

from undrift.instructions.caption import Phrase
from undrift.instructions.draft import Draft
from undrift.instructions.english import indefinite, is_plural
from undrift.instructions.lexicon import adjective_class, is_adjective, opposites, pairs, read_table, words
from undrift.instructions.names import Reference
from undrift.instructions.reading import Kind, NotUnderstood


def with_qualities(phrase: Phrase, said: tuple[str, ...]) -> Phrase:
    """A phrase with new qualities, each where English puts it, without those that they exclude."""
    wanted = [word for word in said if word != "and"]
    kept = phrase.modifiers
    for word in wanted:
        kept = _without_excluded(kept, word, spared=wanted)
    runs: dict[str, tuple[str, ...]] = {}
    for word in said:
        kind = quality_class(word, said)
        if word == "and" and (not runs or len({quality_class(other, said) for other in wanted}) > 1):
            continue
        runs[kind] = (*runs.get(kind, ()), word)
    for kind, run in runs.items():
        place = _rank_place(kept, kind)
        kept = (*kept[:place], *run, *kept[place:])
    return replace(phrase, modifiers=kept).agreeing()


def set_qualities(
    draft: Draft, number: int, said: tuple[str, ...], reference: Reference, made: str | None = None
) -> None:
    old = draft.phrase(number)
    classes = list(dict.fromkeys(made or quality_class(word, said) for word in said if word != "and"))
    if "weather" in classes and not draft.parts[number].is_place and old.noun.lower() not in words("nouns", "sky"):
        raise NotUnderstood(f"'the {old.noun}' cannot be {' '.join(said)}; say 'change the background to ...'")
    if made:
        old = replace(old, modifiers=tuple(m for m in old.modifiers if adjective_class(m.lower()) != made))
    new = with_qualities(old, said)
    if draft.world is not None:
        new = draft.world.quality(new)
    if new == draft.phrase(number):
        raise NotUnderstood(f"'the {reference.said.removeprefix('the ')}' is {' '.join(said)} already")
    draft.rewrite(number, new)
    kinds = pairs("classes", "kinds")
    draft.kinds += [kind_of(kinds.get(name, "content")) for name in classes]


def heir(old: Phrase, new: Phrase, *, keep: bool) -> Phrase:
    """The new thing with what it takes over: the number of "two dogs", and qualities if it keeps any."""
    counted = old.determiner.lower() in words("determiners", "plural")
    if counted and not new.determiner and is_plural(new.noun):
        new = replace(new, determiner=old.determiner)
    if not keep:
        return new
    own = {quality_class(word, new.modifiers) for word in new.modifiers}
    kept = tuple(
        word
        for word in old.modifiers
        if word == "and"
        or (is_adjective(word.lower()) and quality_class(word.lower(), _lower(old.modifiers)) not in own)
    )
    while kept and kept[0] == "and":
        kept = kept[1:]
    while kept and kept[-1] == "and":
        kept = kept[:-1]
    modifiers = new.modifiers
    for word in kept:
        kind = quality_class(word.lower(), _lower(old.modifiers))
        place = _rank_place(modifiers, kind)
        modifiers = (*modifiers[:place], word, *modifiers[place:])
    determiner = new.determiner or indefinite((*modifiers, new.noun)[0], new.noun)
    return replace(new, determiner=determiner, modifiers=modifiers).agreeing()


def kind_of(name: str) -> Kind:
    found: dict[str, Kind] = {"colour": "colour", "material": "material", "content": "content"}
    return found[name]


def quality_class(word: str, said: tuple[str, ...]) -> str:
    """The class of a quality among those said with it: a shade is of its colour's class, "and" of its neighbour's."""
    place = said.index(word)
    following = said[place + 1] if place + 1 < len(said) else None
    if following is not None and adjective_class(following) == "colour" and word in words("adjectives", "shade"):
        return "colour"
    if word == "and":
        return quality_class(said[place - 1], said)
    return adjective_class(word) or "quality"


def _without_excluded(modifiers: tuple[str, ...], word: str, spared: list[str]) -> tuple[str, ...]:
    """``modifiers`` without those that ``word`` takes the place of."""
    kind = adjective_class(word) or "quality"
    single = kind in str(read_table("lexicon.toml")["classes"]["single"]).split()
    kept: list[str] = []
    for place, modifier in enumerate(modifiers):
        low = modifier.lower()
        following = modifiers[place + 1].lower() if place + 1 < len(modifiers) else ""
        shade = low in words("adjectives", "shade") and adjective_class(following) == "colour"
        own = "colour" if shade else adjective_class(low)
        if low in spared or low in opposites(word) or (single and own == kind):
            continue
        kept.append(modifier)
    while kept and kept[0] == "and":
        kept.pop(0)
    while kept and kept[-1] == "and":
        kept.pop()
    return tuple(kept)


def _rank_place(modifiers: tuple[str, ...], kind: str) -> int:
    """Where a quality of class ``kind`` goes: before the first word of a class that follows it, or of none."""
    order = str(read_table("lexicon.toml")["classes"]["order"]).split()
    for place, modifier in enumerate(modifiers):
        low = modifier.lower()
        own = adjective_class(low) or ("colour" if low in words("adjectives", "shade") or low == "and" else None)
        if own is None or order.index(own) > order.index(kind):
            return place
    return len(modifiers)


def _lower(said: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word.lower() for word in said)
