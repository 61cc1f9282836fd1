"""What each edit does to a caption. A function's name is the ``edit`` of its forms in ``forms.toml``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from undrift.instructions.caption import Part, branch, is_animate
from undrift.instructions.checks import (
    check_before,
    check_comparing,
    check_new,
    check_pictured,
    check_place,
    check_pose,
    check_shared,
    check_time,
    check_wearer,
    is_wearable,
    known,
)
from undrift.instructions.colours import keep_colour, match, swap_colours, tinted
from undrift.instructions.draft import Draft
from undrift.instructions.english import is_plural, preposition, same_noun
from undrift.instructions.forms import Gaps
from undrift.instructions.lexicon import adjective_class, words
from undrift.instructions.names import IT, New, Reference
from undrift.instructions.places import is_picture, set_in, set_place, set_places, setting
from undrift.instructions.poses import express, give_up, take_pose
from undrift.instructions.qualities import drop_quality, exchange_quality, joined_well, set_qualities
from undrift.instructions.refusals import Names, NotUnderstood, Why
from undrift.instructions.slots import Changed, Place, Pose
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

Edit = Callable[[Draft, Gaps], None]
_UPON = ("on", "on top of", "around")


def quality(draft: Draft, gaps: Gaps) -> None:
    """Give things qualities, each in place of those that it excludes."""
    if draft.world is not None and gaps["quality"][0] in draft.world.poses:
        pose(draft, {**gaps, "pose": Pose(gaps["quality"], "posture")})
        return
    poses = () if draft.world is None else tuple(word for word in gaps["quality"] if word in draft.world.poses)
    if poses:
        rest = tuple(word for word in gaps["quality"] if word not in poses)
        quality(draft, {**gaps, "quality": joined_well(rest)})
        quality(draft, {**gaps, "quality": poses})
        return
    patterned = all(adjective_class(word) == "pattern" for word in gaps["quality"])
    for reference in gaps.get("things", gaps.get("owner", (IT,))):
        number = draft.find_first(reference) if patterned else draft.find(reference)
        check_before(draft, number, gaps.get("from"))
        set_qualities(draft, number, gaps["quality"], reference)


def patterned(draft: Draft, gaps: Gaps) -> None:
    """Give things a pattern, by what is on them."""
    if "unlike" in gaps:
        for reference in gaps.get("things", (IT,)):
            check_before(draft, draft.find_first(reference), gaps["unlike"])
    quality(draft, {**gaps, "quality": gaps["patterning" if "patterning" in gaps else "pattern"]})


def material(draft: Draft, gaps: Gaps) -> None:
    """Make things of something."""
    for reference in gaps["things"]:
        number = draft.find(reference)
        made = number + 1 < len(draft.parts) and draft.parts[number + 1].lead in (
            "made of",
            "made from",
            "made out of",
        )
        if made:
            draft.delete(number + 1)
        set_qualities(draft, number, gaps["material"], reference, made="material")


def pose(draft: Draft, gaps: Gaps) -> None:
    """Let things stand, look or smile in another way."""
    wanted: Pose = next(gaps[name] for name in ("pose", "doing", "posing", "act", "side") if name in gaps)
    for reference in gaps.get("things", (IT,)):
        number = draft.find_first(reference)
        check_pose(draft, number, gaps.get("lacked"))
        if wanted.kind == "expression":
            express(draft, number, wanted)
        else:
            take_pose(draft, number, wanted)
        draft.kinds.append("pose")


def lack(draft: Draft, gaps: Gaps) -> None:
    """Take qualities and poses from things; where no thing is named, from the only one that has them.

    What an edit before has taken away, as "sitting" did of "sitting, not waving", is gone already.
    """
    wanted = [word for word in gaps["lacked" if "lacked" in gaps else "pattern"] if word != "and"]
    before, now = (set(text.lower().split()) for text in (draft.caption.text, draft.text))
    if set(wanted) <= before - now:
        return
    if "things" in gaps:
        numbers = [draft.find_first(reference) for reference in gaps["things"]]
    else:
        check_shared(draft, lambda part: wanted[0] in part.joiner)
        posed = [draft.owner(k) for k, part in enumerate(draft.parts) if wanted[0] in part.joiner]
        numbers = [_only(draft, _with_quality(draft, wanted) or posed, wanted)]
    for number in numbers:
        for word in wanted:
            kind = drop_quality(draft, number, word)
            if kind is None and not give_up(draft, number, word):
                raise NotUnderstood(Why.IS_NOT, thing=draft.phrase(number).noun, quality=word)
            draft.kinds.append(kind or "pose")


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


def recolour(draft: Draft, gaps: Gaps) -> None:
    """Give what has a quality another one: "change blue to green", "sunny instead of rainy"."""
    old = [word for word in gaps["old"] if word != "and"]
    exchange_quality(draft, _only(draft, _with_quality(draft, old), old), gaps["old"], gaps["quality"])


def instead(draft: Draft, gaps: Gaps) -> None:
    """Give things a quality in the place of one that is said: "a wooden table instead of a white one"."""
    changed: Changed | None = gaps.get("changed")
    for reference in gaps["things"] if changed is None else (changed.thing,):
        said = gaps["quality"] if changed is None else changed.quality
        if "old" not in gaps:
            quality(draft, {"things": (reference,), "quality": said})
            continue
        exchange_quality(draft, draft.find(reference), gaps["old"], said)


def unwanted(draft: Draft, gaps: Gaps) -> None:
    """Change nothing, but know what was spoken of: "do not make the hat blue, make it green"."""
    for reference in gaps["things"]:
        draft.last = draft.parts[draft.find(reference)]


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


def background(draft: Draft, gaps: Gaps) -> None:
    """Put the picture in another place."""
    place: Place = gaps["place"] if "place" in gaps else gaps["located"]
    if "from" in gaps:
        check_place(draft, gaps["from"])
    for reference in gaps.get("things", ()):
        if not reference.is_pronoun:
            draft.find(reference)
    set_place(draft, place)


def when(draft: Draft, gaps: Gaps) -> None:
    """Change the time of day or the weather."""
    if "from" in gaps:
        check_place(draft, gaps["from"])
    set_place(draft, gaps["time"] if "time" in gaps else gaps["weather"], weather=True)


def style(draft: Draft, gaps: Gaps) -> None:
    """Give the whole picture a style, or none."""
    before = (draft.opening, draft.manner)
    if "formerly" in gaps and draft.opening.removesuffix(" of") != gaps["formerly"]:
        raise NotUnderstood(Why.NOT_THIS_STYLE, style=gaps["formerly"] or "a normal picture")
    if "artist" in gaps:
        draft.manner = f", in the style of {gaps['artist']}"
    else:
        named = gaps.get("style", "") if draft.world is None else draft.world.style(gaps.get("style", ""))
        draft.opening, draft.manner = f"{named} of" if named else "", ""
    if before == (draft.opening, draft.manner):
        raise NotUnderstood(Why.STYLE_ALREADY if draft.opening else Why.NO_STYLE)
    draft.kinds.append("style")


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


def keep(draft: Draft, gaps: Gaps) -> None:
    """Leave things as they are, which they are anyway; only their names are checked."""
    for reference in gaps.get("things", ()):
        draft.find(reference)


EDITS: dict[str, Edit] = {
    "quality": quality,
    "keep": keep,
    "lack": lack,
    "instead": instead,
    "unwanted": unwanted,
    "hold": hold,
    "material": material,
    "patterned": patterned,
    "match": match,
    "tinted": tinted,
    "keep_colour": keep_colour,
    "swap_colours": swap_colours,
    "swap_in": swap_in,
    "pose": pose,
    "remove": remove,
    "wear": wear,
    "add": add,
    "want": want,
    "recolour": recolour,
    "replace": replace_things,
    "transform": transform,
    "background": background,
    "when": when,
    "style": style,
    "position": position,
}


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


def _with_quality(draft: Draft, said: Sequence[str]) -> list[int]:
    """The numbers of all things that have these qualities."""
    return [k for k, phrase in draft.named() if set(said) <= {word.lower() for word in phrase.modifiers}]


def _only(draft: Draft, found: Sequence[int], said: Sequence[str]) -> int:
    """The one thing that has a quality, or a refusal that says which have."""
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotUnderstood(Why.NOTHING_IS, quality=" ".join(said), named=draft.names())
    choices = Names(f"the {draft.phrase(k).noun}" for k in found)
    raise NotUnderstood(Why.AMBIGUOUS, said=" ".join(said), choices=choices)
