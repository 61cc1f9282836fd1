"""What each edit does to a caption. A function's name is the ``edit`` of its forms in ``forms.toml``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from undrift.instructions.caption import Part, Phrase, branch, is_animate
from undrift.instructions.checks import check_before, check_comparing, check_new, check_place, check_shared, known
from undrift.instructions.draft import Draft
from undrift.instructions.english import indefinite, is_plural, preposition, same_noun
from undrift.instructions.forms import Gaps
from undrift.instructions.lexicon import adjective_class, pairs, words
from undrift.instructions.names import New, Reference
from undrift.instructions.qualities import set_qualities
from undrift.instructions.reading import NotUnderstood
from undrift.instructions.slots import Place, Pose
from undrift.instructions.things import (
    after_thing,
    describes,
    dress,
    is_wearable,
    led,
    place_at,
    place_beside,
    put_instead,
    set_place,
    take_away,
)

Edit = Callable[[Draft, Gaps], None]


def quality(draft: Draft, gaps: Gaps) -> None:
    """Give things qualities, each in place of those that it excludes."""
    if draft.world is not None and gaps["quality"][0] in draft.world.poses:
        pose(draft, {**gaps, "pose": Pose(gaps["quality"], "posture")})
        return
    poses = () if draft.world is None else tuple(word for word in gaps["quality"] if word in draft.world.poses)
    if poses:
        rest = tuple(word for word in gaps["quality"] if word not in poses)
        quality(draft, {**gaps, "quality": _joined_well(rest)})
        quality(draft, {**gaps, "quality": poses})
        return
    patterned = all(adjective_class(word) == "pattern" for word in gaps["quality"])
    for reference in gaps["things"]:
        number = draft.find_first(reference) if patterned else draft.find(reference)
        check_before(draft, number, gaps.get("from"))
        set_qualities(draft, number, gaps["quality"], reference)


def patterned(draft: Draft, gaps: Gaps) -> None:
    """Give things a pattern, by what is on them."""
    quality(draft, {**gaps, "quality": gaps["pattern"]})


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
    wanted: Pose = gaps["pose"] if "pose" in gaps else gaps["side"]
    for reference in gaps["things"]:
        number = draft.find_first(reference)
        if wanted.kind == "expression":
            _express(draft, number, wanted)
        else:
            _take_pose(draft, number, wanted)
        draft.kinds.append("pose")


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
    for reference in gaps.get("things", gaps.get("owner", (None,))):
        number = 0 if reference is None else draft.find_wearer(reference)
        for new in gaps["new"]:
            check_new(draft, new)
            if is_wearable(new.phrase) and is_animate(draft.parts[number].phrase):
                dress(draft, number, new)
                continue
            if reference is not None and "bodypart" in gaps:
                raise NotUnderstood(f"where '{new.phrase.text}' is to be is not clear: say what it is next to")
            place_beside(draft, number, new)
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
            anchor = draft.find(gaps["anchor"])
            if (
                relation in ("on", "on top of", "around")
                and is_wearable(new.phrase)
                and is_animate(draft.phrase(anchor))
            ):
                dress(draft, anchor, new)
                continue
            place_at(draft, new, relation, anchor)
        else:
            wearers = [k for k, part in enumerate(draft.parts) if is_animate(part.phrase)]
            if is_wearable(new.phrase) and wearers:
                if len(wearers) > 1:
                    names = " or ".join(f"'the {draft.phrase(k).noun}'" for k in wearers)
                    raise NotUnderstood(f"who is to wear '{new.phrase.text}'? Say {names}")
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
            raise NotUnderstood(
                f"the picture has 'the {noun}' already: say 'make the {noun} {said}', or 'add another {noun}'"
            )
    add(draft, gaps)


def recolour(draft: Draft, gaps: Gaps) -> None:
    """Give what has a colour another one: "change blue to green"."""
    old = gaps["colour"]
    found = [phrase for _, phrase in draft.named() if set(old) <= {word.lower() for word in phrase.modifiers}]
    if len(found) != 1:
        choices = " or ".join(f"'the {phrase.noun}'" for phrase in found)
        raise NotUnderstood(
            f"'{' '.join(old)}' can mean more than one thing: say {choices}"
            if found
            else f"nothing in the caption is {' '.join(old)}; it names {draft.names()}: say one of these"
        )
    noun = found[0].noun.lower()
    quality(draft, {"things": (Reference(noun, tuple(old), noun),), "quality": gaps["quality"]})


def replace_things(draft: Draft, gaps: Gaps) -> None:
    """Put other things in the place of things; nothing of the old ones is kept (but see ``World``)."""
    _exchange(draft, gaps, keep=False)


def transform(draft: Draft, gaps: Gaps) -> None:
    """Turn things into others, which keep the qualities that nobody spoke of."""
    _exchange(draft, gaps, keep=True)


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
    set_place(draft, gaps["time"] if "time" in gaps else gaps["weather"])


def style(draft: Draft, gaps: Gaps) -> None:
    """Give the whole picture a style, or none."""
    before = (draft.opening, draft.manner)
    if "artist" in gaps:
        draft.manner = f", in the style of {gaps['artist']}"
    else:
        named = gaps.get("style", "")
        draft.opening, draft.manner = f"{named} of" if named else "", ""
    if before == (draft.opening, draft.manner):
        raise NotUnderstood("the picture already has this style" if draft.opening else "the picture has no style")
    draft.kinds.append("style")


def position(draft: Draft, gaps: Gaps) -> None:
    """Put a thing that is there somewhere else."""
    number = draft.find(gaps["thing"])
    anchor = draft.find(gaps["anchor"])
    moved = draft.phrase(number)
    if number in (0, anchor):
        raise NotUnderstood(f"'the {moved.noun}' is what the caption begins with: say where the other thing is to be")
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
            hint = f"the caption says '{' '.join(held[0].words)}'" if held else "it has no hands"
            raise NotUnderstood(f"'{draft.phrase(number).text}' cannot hold more: {hint}")
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
    "hold": hold,
    "material": material,
    "patterned": patterned,
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


def _joined_well(said: tuple[str, ...]) -> tuple[str, ...]:
    """Qualities of which some were taken out, without an "and" that joins nothing."""
    return tuple(
        word for k, word in enumerate(said) if word != "and" or (0 < k < len(said) - 1 and said[k - 1] != "and")
    )


def _express(draft: Draft, number: int, wanted: Pose) -> None:
    phrase = draft.phrase(number)
    others = frozenset(pairs("verbs", "expression").values())
    kept = tuple(word for word in phrase.modifiers if word.lower() not in others)
    new = replace(phrase, modifiers=(*wanted.words, *kept))
    if new == phrase:
        raise NotUnderstood(f"'the {phrase.noun}' is {' '.join(wanted.words)} already")
    for k in reversed(range(number + 1, len(draft.parts))):
        if draft.parts[k].pose == "expression" and draft.owner(k) == number and draft.parts[k].phrase is None:
            del draft.parts[k]
    draft.rewrite(number, new)


def _take_pose(draft: Draft, number: int, wanted: Pose) -> None:
    if draft.world is not None:
        wanted = replace(wanted, words=draft.world.pose(wanted.words))
    own = [k for k, part in enumerate(draft.parts) if part.pose == wanted.kind and draft.owner(k) == number]
    check_shared(draft, lambda part: part.pose == wanted.kind)
    bound = [k for k in own if draft.parts[k].phrase is not None]
    if bound:
        part = draft.parts[bound[0]]
        raise NotUnderstood(
            f"the caption says '{' '.join(part.words)}': say 'remove the {draft.phrase(bound[0]).noun}' first"
        )
    if own:
        if not wanted.words:
            del draft.parts[own[0]]
            return
        if draft.parts[own[0]].joiner == wanted.words:
            raise NotUnderstood(f"'the {draft.phrase(number).noun}' is {' '.join(wanted.words)} already")
        after = draft.parts[own[0] + 1 :][:1]
        moves = wanted.words[0] in words("verbs", "moving")
        if after and after[0].lead in words("verbs", "ways") and not moves:
            raise NotUnderstood(
                f"'{' '.join((*wanted.words, *after[0].words))}' may make no sense: give the whole caption"
            )
        draft.parts[own[0]] = replace(draft.parts[own[0]], joiner=wanted.words)
        return
    if not wanted.words:
        raise NotUnderstood(f"'the {draft.phrase(number).noun}' takes no other pose: it stands already")
    draft.insert(after_thing(draft, number), [Part(wanted.words, None)])
    draft.last = draft.parts[number]


def _exchange(draft: Draft, gaps: Gaps, *, keep: bool) -> None:
    news: tuple[New, ...] = gaps["new"] if "new" in gaps else gaps["several"]
    if len(news) != 1:
        raise NotUnderstood(
            "one thing at a time can take the place of another: say the second in a sentence of its own"
        )
    for reference in gaps["things"]:
        number = draft.find(reference)
        check_before(draft, number, gaps.get("from"))
        if reference.is_pronoun and news[0].phrase.noun == "scene":
            set_place(draft, _setting(news[0].phrase))
            continue
        old = draft.phrase(number).noun
        if "several" in gaps and not is_plural(old):
            raise NotUnderstood(f"'the {old}' is one: say 'turn the {old} into {news[0].phrase.text}'")
        if draft.parts[number].is_place and draft.parts[number].lead == preposition(old):
            set_place(draft, Place(None, news[0].phrase))
        else:
            put_instead(draft, number, reference, news[0], keep=keep)


def _setting(scene: Phrase) -> Place:
    """Where "a beach scene" is set, which no thing can become."""
    place = scene.modifiers[-1] if scene.modifiers else ""
    if preposition(place) is None:
        raise NotUnderstood(f"'{scene.text}' is where the picture is set: say 'set the background to ...'")
    return Place(None, Phrase(indefinite(place, place), (), place))
