"""Putting things into a caption, taking them out, and putting others in their place."""

from __future__ import annotations

from dataclasses import replace

from undrift.instructions.caption import Part, branch, coordinate, is_animate
from undrift.instructions.checks import check_comparing, check_shared, is_wearable, repeats
from undrift.instructions.draft import Draft
from undrift.instructions.english import same_noun
from undrift.instructions.lexicon import compared, pairs, verb_forms, words
from undrift.instructions.names import New, Reference
from undrift.instructions.qualities import heir, kind_of, quality_class
from undrift.instructions.refusals import NotUnderstood, Why
from undrift.instructions.world import in_place_of

BESIDE = ("next", "to")
WEARING = ("wearing",)
WITH = ("with",)


def take_away(draft: Draft, number: int) -> None:
    part = draft.parts[number]
    phrase = draft.phrase(number)
    if part.is_place and draft.world is None and phrase.noun.lower() in words("nouns", "weather"):
        draft.delete(number)
        return
    if part.is_place:
        raise NotUnderstood(Why.IS_BACKGROUND, said=f"the {phrase.noun}")
    gone = set(branch(draft.parts, number))
    possessives = words("determiners", "possessives")
    again = [
        k
        for k, other in draft.named()
        if k not in gone
        and (repeats(other, phrase) or (is_animate(phrase) and other.determiner.lower() in possessives))
    ]
    if again:
        raise NotUnderstood(Why.LEFT_OVER, said=" ".join(draft.parts[again[0]].words))
    if number == 0:
        _behead(draft)
    else:
        draft.delete(number)


def _behead(draft: Draft) -> None:
    """Take the first thing away; one beside it, or joined to it by "and", then begins the caption."""
    phrase = draft.phrase(0)
    gone = branch(draft.parts, 0)
    others = [k for k, part in enumerate(draft.parts) if part.lead == "and" and coordinate(draft.parts, k) == 0]
    if not others:
        raise NotUnderstood(Why.NOTHING_LEFT, thing=phrase.noun)
    between = [k for k in range(1, others[0]) if k not in gone]
    if between:
        raise NotUnderstood(Why.UNCLEAR_REST, said=" ".join(draft.parts[between[0]].words))
    draft.parts = [replace(draft.parts[others[0]], joiner=()), *draft.parts[others[0] + 1 :]]


def dress(draft: Draft, number: int, new: New) -> None:
    check_shared(draft, _is_worn)
    worn = [k for k, part in enumerate(draft.parts) if _is_worn(part) and draft.owner(k) == number]
    same = [k for k in worn if same_noun(draft.phrase(k).noun, new.phrase.noun)]
    if same and new.phrase.determiner != "another" and "second" not in new.phrase.modifiers:
        old = draft.phrase(same[0])
        plain = tuple(compared(word.lower()) or word for word in new.phrase.modifiers)
        new = replace(new, parts=(Part((), replace(new.phrase, modifiers=plain)), *new.parts[1:]))
        put_instead(draft, same[0], Reference(old.noun, (), old.noun), new, keep=False)
    elif worn:
        check_comparing(draft, new)
        draft.insert(branch(draft.parts, worn[-1])[-1] + 1, led(("and",), new))
        draft.kinds.append("add")
    else:
        check_comparing(draft, new)
        draft.insert(after_thing(draft, number), led(WEARING, new))
        draft.kinds.append("add")


def place_beside(draft: Draft, number: int, new: New, joiner: tuple[str, ...] | None = None) -> None:
    """Put a new thing next to a thing, or into a scene or what belongs to a thing: "with", or as ``joiner`` says."""
    host = draft.phrase(number)
    body = _is_body(new.parts[0])
    sky = new.phrase.noun.lower() in words("nouns", "sky")
    holds = any(same_noun(host.noun, noun) for noun in words("nouns", "scene") | words("nouns", "surface"))
    joiner = joiner or (WITH if body or sky or holds else BESIDE)
    like = [
        k
        for k, part in enumerate(draft.parts)
        if part.lead == " ".join(joiner) and draft.owner(k) == number and (not body or _is_body(part))
    ]
    if like:
        siblings = [k for k in range(len(draft.parts)) if coordinate(draft.parts, k) == like[-1]]
        draft.insert(branch(draft.parts, (siblings or like)[-1])[-1] + 1, led(("and",), new))
        return
    if host.noun.lower() in words("nouns", "sky") or (sky and not holds):
        draft.insert(len(draft.parts), led(WITH, new))
        return
    place = after_thing(draft, number)
    while not body and place < len(draft.parts) and describes(draft, place, number):
        place += 1
    if draft.world is None and not body and place < len(draft.parts) and _is_doing(draft.parts[place]):
        # What follows the host says what it does, and would be said of what is put before it.
        draft.insert(len(draft.parts), led(("and",) if draft.parts[-1].lead == "with" else WITH, new))
        return
    draft.insert(place, led(joiner, new))


def _is_body(part: Part) -> bool:
    """Whether a part names what grows on somebody, or belongs to a building: a beard, a roof."""
    return part.phrase is not None and part.phrase.noun.lower() in words("nouns", "body")


def _is_doing(part: Part) -> bool:
    """Whether a part says what somebody does: "sitting", "reading a book"."""
    return bool(part.joiner) and part.joiner[0].lower() in verb_forms().values()


def place_at(draft: Draft, new: New, relation: str, anchor: int) -> None:
    """Put a new thing ``relation`` to a named one: "next to" the first thing directly, else in words of its own."""
    host = draft.phrase(anchor)
    if relation == "next to" and anchor == 0:
        place_beside(draft, 0, new, BESIDE)
        return
    where = Part(tuple(relation.split()), replace(host, determiner="the", modifiers=_telling(draft, anchor)))
    joiner = ("and",) if draft.parts[-1].lead == "with" else WITH
    draft.insert(len(draft.parts), [*led(joiner, new), where])


BEFORE = "in front of"
"""How a caption says of a picture's place that it is a thing too: what an old house becomes there is old as well."""


def put_instead(draft: Draft, number: int, reference: Reference, new: New, *, keep: bool) -> None:
    old = draft.phrase(number)
    if new.phrase.noun in ("one", "ones"):
        new, keep = replace(new, parts=(Part((), replace(new.phrase, noun=old.noun)), *new.parts[1:])), True
    same = same_noun(old.noun, new.phrase.noun)
    scenery = draft.parts[number].is_place and draft.parts[number].lead != BEFORE
    phrase = heir(old, new.phrase, keep=(keep or same) and not scenery)
    phrase = phrase if draft.world is None else draft.world.quality(in_place_of(old, phrase))
    changed = [m for m in phrase.modifiers if m not in old.modifiers and m != "and"]
    named_too = reference.beside is not None and reference.beside[0] == "of"
    following = number + 1
    tail = following < len(draft.parts) and draft.parts[following].lead == "of"
    if phrase == old and len(new.parts) == 1 and not named_too:
        raise NotUnderstood(Why.SAYS_ALREADY, shown=old.text)
    if tail and (named_too or any(part.lead == "of" for part in new.parts[1:])):
        draft.delete(following)
    if (
        len(new.parts) > 1
        and any(_is_worn(part) or part.lead == "with" for part in new.parts)
        and len(branch(draft.parts, number)) > 1
    ):
        raise NotUnderstood(Why.UNCLEAR_REST, said=" ".join(draft.parts[following].words))
    if len(new.parts) > 1:
        draft.insert(following, new.parts[1:])
    draft.rewrite(number, phrase)
    kinds = pairs("classes", "kinds")
    said = tuple(changed)
    draft.kinds += [kind_of(kinds[quality_class(word, said)]) for word in changed] if same and changed else ["object"]


def whole_of(draft: Draft, number: int) -> int:
    """What goes or moves with a thing: of "a slice of bread" the slice, when the bread does."""
    held = number > 0 and draft.parts[number].lead == "of" and draft.parts[number - 1].phrase is not None
    return number - 1 if held and draft.phrase(number - 1).noun.lower() in words("nouns", "partitive") else number


def describes(draft: Draft, place: int, number: int) -> bool:
    """Whether the part at ``place`` belongs to what somebody wears or has."""
    part = draft.parts[place]
    if part.is_place or part.pose or part.phrase is None:
        return False
    return (
        part.lead in ("wearing", "with", "of", "and", "in", "dressed in", "holding") and draft.owner(place) >= number
    )


def _telling(draft: Draft, number: int) -> tuple[str, ...]:
    """The modifiers of a thing that are needed to tell it from others of its kind."""
    phrase = draft.phrase(number)
    alone = sum(same_noun(phrase.noun, other.noun) for _, other in draft.named()) == 1
    return () if alone else phrase.modifiers


def led(joiner: tuple[str, ...], new: New) -> list[Part]:
    return [replace(new.parts[0], joiner=joiner), *new.parts[1:]]


def after_thing(draft: Draft, number: int) -> int:
    """The number behind a thing and its "of ..."; in a world, whose captions say the pose first, behind that too."""
    place = number + 1
    while place < len(draft.parts) and (draft.parts[place].lead == "of" or _is_bare_pose(draft, place)):
        place += 1
    return place


def _is_bare_pose(draft: Draft, place: int) -> bool:
    part = draft.parts[place]
    return draft.world is not None and part.phrase is None and part.pose is not None


def _is_worn(part: Part) -> bool:
    return (
        part.phrase is not None and is_wearable(part.phrase) and part.lead in ("wearing", "in", "dressed in", "and")
    )
