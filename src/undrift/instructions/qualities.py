"""Qualities: which ones exclude each other, where they stand, and what a thing takes over from another."""

from __future__ import annotations

from dataclasses import replace

from undrift.instructions.caption import Phrase
from undrift.instructions.draft import Draft
from undrift.instructions.english import indefinite, is_plural, spelt
from undrift.instructions.lexicon import adjective_class, is_adjective, opposites, pairs, read_table, words
from undrift.instructions.names import Reference
from undrift.instructions.reading import Kind
from undrift.instructions.refusals import NotUnderstood, Why


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
    outdoors = draft.parts[number].is_place or old.noun.lower() in words("nouns", "sky")
    if (
        "weather" in classes
        and not outdoors
        and not set(said) <= words("classes", "of_things")
        and "weather" not in map(adjective_class, _lower(old.modifiers))
    ):
        raise NotUnderstood(Why.NO_WEATHER_OF_ITS_OWN, thing=old.noun, quality=" ".join(said))
    if made:
        old = replace(old, modifiers=tuple(m for m in old.modifiers if adjective_class(m.lower()) != made))
    new = with_qualities(old, said)
    if draft.world is not None:
        new = draft.world.quality(new)
    if list(map(spelt, new.words)) == list(map(spelt, draft.phrase(number).words)):
        raise NotUnderstood(
            Why.IS_ALREADY,
            thing=old.noun if reference.is_pronoun else reference.said.removeprefix("the "),
            quality=" ".join(said),
        )
    draft.rewrite(number, new)
    kinds = pairs("classes", "kinds")
    draft.kinds += [kind_of(kinds.get(name, "content")) for name in classes]


def exchange_quality(draft: Draft, number: int, old: tuple[str, ...], said: tuple[str, ...]) -> None:
    """Give a thing qualities in the place of others, whatever their class: "wooden" for "white"."""
    phrase = draft.phrase(number)
    if not set(map(spelt, old)) <= {"and", *map(spelt, phrase.modifiers)}:
        raise NotUnderstood(Why.NOT_WHAT_IT_SAYS, shown=phrase.text, said=" ".join(old))
    if draft.world is not None and set(said) & set(draft.world.poses):
        raise NotUnderstood(Why.POSE_AND_QUALITY, pose=" ".join(said), quality=" ".join(old))
    new = {quality_class(word, said) for word in said}
    other = {word for word in old if word != "and" and quality_class(word, old) not in new}
    kept = joined_well(tuple(word for word in phrase.modifiers if spelt(word) not in set(map(spelt, other))))
    draft.parts[number] = replace(draft.parts[number], phrase=replace(phrase, modifiers=kept))
    set_qualities(draft, number, said, Reference(phrase.noun, (), phrase.noun.lower()))


def drop_quality(draft: Draft, number: int, word: str) -> Kind | None:
    """Take a quality from a thing and say what kind of edit that is; None if the thing does not have it.

    Raises:
        NotUnderstood: it is a colour, and nobody said which one is to be there instead.
    """
    phrase = draft.phrase(number)
    if word not in _lower(phrase.modifiers):
        return None
    name = quality_class(word, _lower(phrase.modifiers))
    if name == "colour":
        raise NotUnderstood(Why.WHICH_COLOUR, colour=word, thing=phrase.noun)
    kept = joined_well(tuple(each for each in phrase.modifiers if each.lower() != word))
    draft.rewrite(number, replace(phrase, modifiers=kept))
    return kind_of(pairs("classes", "kinds").get(name, "content"))


def joined_well(said: tuple[str, ...]) -> tuple[str, ...]:
    """Qualities of which some were taken out, without an "and" that joins nothing."""
    return tuple(
        word for k, word in enumerate(said) if word != "and" or (0 < k < len(said) - 1 and said[k - 1] != "and")
    )


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
