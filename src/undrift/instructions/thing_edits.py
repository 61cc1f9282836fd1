"""Edits that add, remove, move and exchange things. Named as in ``forms.toml``."""

from __future__ import annotations

from dataclasses import replace

from undrift.instructions.caption import Part, Phrase, branch, is_animate
from undrift.instructions.checks import (
    check_before,
    check_comparing,
    check_new,
    check_pictured,
    check_time,
    check_wearer,
    is_wearable,
    known,
)
from undrift.instructions.draft import Draft
from undrift.instructions.english import is_plural, preposition, same_noun, singular, spelt
from undrift.instructions.forms import Gaps
from undrift.instructions.lexicon import pairs, phrases, words
from undrift.instructions.names import IT, New, Reference
from undrift.instructions.places import is_picture, set_in, set_place, set_places, setting
from undrift.instructions.qualities import joined_well
from undrift.instructions.quality_edits import quality
from undrift.instructions.refusals import Names, NotUnderstood, Why
from undrift.instructions.things import (
    BEFORE,
    WITH,
    after_thing,
    describes,
    dress,
    led,
    place_at,
    place_beside,
    put_instead,
    take_away,
    whole_of,
)

_UPON = ("on", "on top of", "around")


def remove(draft: Draft, gaps: Gaps) -> None:
    """Take things away with all that is said about them."""
    gone = (*gaps.get("things", ()), *gaps.get("gone", ()))
    parts = [draft.parts[whole_of(draft, draft.find(reference))] for reference in gone]
    if "anchor" in gaps:
        draft.find(gaps["anchor"])
    for part in parts:
        if part in draft.parts:
            take_away(draft, draft.parts.index(part))
        draft.kinds.append("delete")


def wear(draft: Draft, gaps: Gaps) -> None:
    """Put something on somebody; other things are put next to them, or on what cannot wear."""
    for reference in gaps.get("things", gaps.get("owner", (IT,))):
        number = draft.find_wearer(reference)
        for new in gaps["new"] if "new" in gaps else gaps["clothes"]:
            check_new(draft, new)
            check_wearer(draft, number, new)
            if is_wearable(new.phrase) and is_animate(draft.parts[number].phrase):
                dress(draft, number, new)
                continue
            if "bodypart" in gaps:
                raise NotUnderstood(Why.WHERE_WORN, new=new.phrase.text)
            _give(draft, number, new)
            draft.kinds.append("add")


def _give(draft: Draft, number: int, new: New) -> None:
    """Give something that is not worn: somebody on a photograph has it, what else there is stands beside."""
    body = new.phrase.noun.lower() in words("nouns", "body")
    if draft.world is None and is_animate(draft.phrase(number)) and number == 0 and not body:
        place = after_thing(draft, number)
        while place < len(draft.parts) and describes(draft, place, number):
            place += 1
        draft.insert(place, led(WITH, new))
    else:
        place_beside(draft, number, new, WITH if is_wearable(new.phrase) else None)


def add(draft: Draft, gaps: Gaps) -> None:
    """Add things: what can be worn to the first who can wear it, others where they are said to be, else beside."""
    relation = gaps.get("rel")
    for new in gaps["new"]:
        there = known(draft, new)
        if there is not None and relation is not None:
            position(draft, {"thing": there, "rel": relation, "anchor": gaps["anchor"]})
            continue
        check_new(draft, new)
        check_comparing(draft, new)
        if relation is not None:
            anchor = (draft.find_beside if relation == "next to" else draft.find)(gaps["anchor"])
            if relation in _UPON and is_wearable(new.phrase):
                check_wearer(draft, anchor, new)
                if is_animate(draft.phrase(anchor)):
                    dress(draft, anchor, new)
                    continue
            place_at(draft, new, relation, anchor)
        else:
            wearers = [k for k, part in enumerate(draft.parts) if is_animate(part.phrase)]
            if is_wearable(new.phrase) and wearers:
                if len(wearers) > 1:
                    names = Names(f"the {draft.phrase(k).noun}" for k in wearers)
                    raise NotUnderstood(Why.WHO_WEARS, new=new.phrase.text, choices=names)
                dress(draft, wearers[0], new)
                continue
            place_beside(draft, 0, new)
        draft.kinds.append("add")


def want(draft: Draft, gaps: Gaps) -> None:
    """Add what is wished for; "I want a white cat" of a picture with a cat asks for no second one."""
    for new in gaps["new"]:
        noun = new.phrase.noun
        if new.phrase.determiner == "another" or is_wearable(new.phrase):
            continue
        if any(same_noun(phrase.noun, noun) for _, phrase in draft.named()):
            said = " ".join(new.phrase.modifiers) or "..."
            raise NotUnderstood(Why.SAY_WHICH_CHANGE, thing=noun, quality=said)
    add(draft, gaps)


def replace_things(draft: Draft, gaps: Gaps) -> None:
    """Put other things in the place of things; nothing of the old ones is kept (but see ``World``)."""
    _exchange(draft, gaps, keep=False)


def transform(draft: Draft, gaps: Gaps) -> None:
    """Turn things into others, which keep the qualities that nobody spoke of."""
    _exchange(draft, gaps, keep=True)


def becomes(draft: Draft, gaps: Gaps) -> None:
    """Write one thing for another, "cat -> dog": what was named goes, other qualities stay.

    A word that is a colour too is a thing where the old one is of its kind: of apples, "orange" is a fruit.
    """
    for reference in gaps["things"]:
        number = draft.find(reference)
        phrase = draft.phrase(number)
        if "becoming" in gaps and not _of_one_kind(phrase.noun, gaps["becoming"].phrase.noun):
            quality(draft, {"things": (reference,), "quality": (gaps["becoming"].phrase.noun,)})
            continue
        named = {spelt(word) for word in reference.modifiers}
        rest = tuple(word for word in phrase.modifiers if spelt(word) not in named)
        if draft.world is None:
            draft.parts[number] = replace(draft.parts[number], phrase=replace(phrase, modifiers=joined_well(rest)))
        bare = replace(reference, modifiers=()) if draft.world is None else reference
        news = (gaps["becoming"],) if "becoming" in gaps else gaps["noun"] if "noun" in gaps else gaps["new"]
        _exchange(draft, {"things": (bare,), "new": news}, keep="becoming" not in gaps)


def _of_one_kind(one: str, other: str) -> bool:
    kinds = [kind.split() for kind in phrases("nouns", "akin_kinds")]
    return any(singular(one) in kind and singular(other) in kind for kind in kinds)


def count(draft: Draft, gaps: Gaps) -> None:
    """Show another number of things, where the caption says how many there are."""
    for reference in gaps["things"]:
        number = draft.find(reference)
        phrase = draft.phrase(number)
        counted = phrase.determiner.lower() in words("determiners", "counting")
        if not counted or gaps.get("former", phrase.determiner.lower()) != phrase.determiner.lower():
            raise NotUnderstood(Why.NOT_WHAT_IT_SAYS, shown=phrase.text, said=gaps.get("former", reference.said))
        draft.rewrite(number, replace(phrase, determiner=gaps["number"]))
        draft.kinds.append("content")


def swap_in(draft: Draft, gaps: Gaps) -> None:
    """Put new things in the place of those that play the same part: "a scarf instead", "a woman instead"."""
    for new in gaps["new"]:
        found = [k for k, phrase in draft.named() if _plays_alike(draft, phrase, new.phrase)]
        if len(found) != 1:
            raise NotUnderstood(Why.INSTEAD_OF_WHAT)
        old = draft.phrase(found[0]).noun
        _exchange(draft, {"things": (Reference(old, (), old),), "new": (new,)}, keep=True)


def _plays_alike(draft: Draft, one: Phrase, other: Phrase) -> bool:
    """Whether one thing can take the other's place without a word: by its role in a world, or as a living being."""
    if draft.world is not None:
        return draft.world.alike(one.noun, other.noun)
    return is_animate(one) and is_animate(other)


def position(draft: Draft, gaps: Gaps) -> None:
    """Put a thing that is there somewhere else."""
    anchor = draft.find(gaps["anchor"])
    number = whole_of(draft, _moved(draft, gaps["thing"], anchor))
    moved = draft.phrase(number)
    if number != anchor and _stands_by(draft, number, anchor):
        draft.parts[anchor] = replace(draft.parts[anchor], joiner=tuple(gaps["rel"].split()))
        draft.kinds.append("position")
        return
    if number in (0, anchor):
        raise NotUnderstood(Why.BEGINS_CAPTION, thing=moved.noun)
    if gaps["rel"] in _UPON:
        check_wearer(draft, anchor, New((Part((), moved),)))
    target = draft.parts[anchor]
    inner = [draft.parts[k] for k in branch(draft.parts, number)][1:]
    draft.delete(number)
    place_at(draft, New((Part((), moved), *inner)), gaps["rel"], draft.parts.index(target))
    draft.kinds.append("position")


def _moved(draft: Draft, reference: Reference, anchor: int) -> int:
    """The thing that is put elsewhere; "it" is none that others stand on, nor what it is put beside."""
    if not reference.is_pronoun or draft.last is not None:
        return draft.find(reference)
    fixed = words("nouns", "surface") | words("nouns", "scene")
    movable = [
        k
        for k, phrase in draft.named()
        if k != anchor
        and not draft.parts[k].is_place
        and draft.parts[k].lead != "of"
        and (k == 0 or phrase.noun.lower() not in fixed)
    ]
    return movable[0] if len(movable) == 1 else draft.find(reference)


def _stands_by(draft: Draft, number: int, anchor: int) -> bool:
    """Whether the caption says where thing ``number`` is by ``anchor``: "next to" it, "in front of" it."""
    aside = draft.parts[anchor].lead in pairs("relations", "words").values()
    return draft.world is None and aside and draft.owner(anchor) == number


def hold(draft: Draft, gaps: Gaps) -> None:
    """Put something into somebody's hands."""
    for reference in gaps.get("things", gaps.get("owner", ())):
        number = draft.find(reference)
        held = [part for k, part in enumerate(draft.parts) if part.lead == "holding" and draft.owner(k) == number]
        if held or not is_animate(draft.parts[number].phrase):
            thing = draft.phrase(number).text
            if held:
                raise NotUnderstood(Why.HOLDS_ALREADY, thing=thing, shown=" ".join(held[0].words))
            raise NotUnderstood(Why.NO_HANDS, thing=thing)
        for new in gaps["new"]:
            check_new(draft, new)
            place = after_thing(draft, number)
            while place < len(draft.parts) and describes(draft, place, number):
                place += 1
            draft.insert(place, led(("holding",), new))
            draft.kinds.append("add")


def _meant(draft: Draft, reference: Reference, new: New) -> int:
    """What is to become ``new``; of "it", the only thing that can take its part."""
    if reference.noun in ("it", "this", "that") and reference.is_pronoun and draft.last is None:
        alike = [k for k, phrase in draft.named() if _plays_alike(draft, phrase, new.phrase)]
        if len(alike) == 1:
            return alike[0]
    return draft.find(reference)


def _check_scenery(draft: Draft, number: int, new: New) -> None:
    """Refuse to set a picture in what is no place: in a cat."""
    elsewhere = not is_animate(new.phrase) and (draft.world is None or draft.world.is_place(new.phrase.noun))
    if draft.parts[number].is_place and not elsewhere:
        raise NotUnderstood(Why.IS_BACKGROUND, said=f"the {draft.phrase(number).noun}")


def _exchange(draft: Draft, gaps: Gaps, *, keep: bool) -> None:
    news: tuple[New, ...] = gaps["new"] if "new" in gaps else gaps["several"]
    olds = gaps["things"] if "things" in gaps else gaps["gone"]
    if len(news) != 1 or len(olds) != 1:
        raise NotUnderstood(Why.ONE_AT_A_TIME)
    for reference in olds:
        scenery = news[0].phrase.noun in words("styles", "settings") or set_in(news[0].phrase) is not None
        if is_picture(draft, reference) and scenery:
            set_place(draft, setting(news[0].phrase))
            continue
        number = _meant(draft, reference, news[0])
        check_before(draft, number, gaps.get("from"))
        check_pictured(draft, number, news[0])
        if known(draft, news[0]) is not None:
            raise NotUnderstood(Why.IS_THERE_ALREADY, new=news[0].phrase.noun, thing=draft.phrase(number).noun)
        check_time(draft, number, news[0])
        _check_scenery(draft, number, news[0])
        old = draft.phrase(number).noun
        if "several" in gaps and not is_plural(old):
            raise NotUnderstood(Why.IS_ONE, thing=old, new=news[0].phrase.text)
        lead = draft.parts[number].lead
        if draft.parts[number].is_place and lead == preposition(old) and lead != BEFORE:
            set_places(draft, news[0])
        else:
            put_instead(draft, number, reference, news[0], keep=keep)
