"""Edits that add, remove, move and exchange things. Named as in ``forms.toml``."""

from __future__ import annotations

from undrift.instructions.caption import Part, branch, is_animate
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
from undrift.instructions.english import is_plural, preposition, same_noun
from undrift.instructions.forms import Gaps
from undrift.instructions.lexicon import words
from undrift.instructions.names import IT, New, Reference
from undrift.instructions.places import is_picture, set_in, set_place, set_places, setting
from undrift.instructions.refusals import Names, NotUnderstood, Why
from undrift.instructions.things import (
    WITH,
    after_thing,
    describes,
    dress,
    led,
    place_at,
    place_beside,
    put_instead,
    take_away,
)

_UPON = ("on", "on top of", "around")


def remove(draft: Draft, gaps: Gaps) -> None:
    """Take things away with all that is said about them."""
    gone = gaps["things"] if "things" in gaps else gaps["gone"]
    parts = [draft.parts[draft.find(reference)] for reference in gone]
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
            place_beside(draft, number, new, WITH if is_wearable(new.phrase) else None)
            draft.kinds.append("add")


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
            anchor = (draft.find_first if relation == "next to" else draft.find)(gaps["anchor"])
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


def swap_in(draft: Draft, gaps: Gaps) -> None:
    """Put new things in the place of those that play the same part in the drawn world: "a scarf instead"."""
    for new in gaps["new"]:
        found = [k for k, phrase in draft.named() if draft.world and draft.world.alike(phrase.noun, new.phrase.noun)]
        if len(found) != 1:
            raise NotUnderstood(Why.INSTEAD_OF_WHAT)
        old = draft.phrase(found[0]).noun
        _exchange(draft, {"things": (Reference(old, (), old),), "new": (new,)}, keep=True)


def position(draft: Draft, gaps: Gaps) -> None:
    """Put a thing that is there somewhere else."""
    number = draft.find(gaps["thing"])
    anchor = draft.find(gaps["anchor"])
    moved = draft.phrase(number)
    if number in (0, anchor):
        raise NotUnderstood(Why.BEGINS_CAPTION, thing=moved.noun)
    if gaps["rel"] in _UPON:
        check_wearer(draft, anchor, New((Part((), moved),)))
    target = draft.parts[anchor]
    inner = [draft.parts[k] for k in branch(draft.parts, number)][1:]
    draft.delete(number)
    place_at(draft, New((Part((), moved), *inner)), gaps["rel"], draft.parts.index(target))
    draft.kinds.append("position")


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
        number = draft.find(reference)
        check_before(draft, number, gaps.get("from"))
        check_pictured(draft, number, news[0])
        if known(draft, news[0]) is not None:
            raise NotUnderstood(Why.IS_THERE_ALREADY, new=news[0].phrase.noun, thing=draft.phrase(number).noun)
        check_time(draft, number, news[0])
        old = draft.phrase(number).noun
        if "several" in gaps and not is_plural(old):
            raise NotUnderstood(Why.IS_ONE, thing=old, new=news[0].phrase.text)
        if draft.parts[number].is_place and draft.parts[number].lead == preposition(old):
            set_places(draft, news[0])
        else:
            put_instead(draft, number, reference, news[0], keep=keep)
