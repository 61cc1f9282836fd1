"""Edits of what things are like: colour, pattern, material, pose. Named as in ``forms.toml``."""

from __future__ import annotations

from collections.abc import Sequence

from undrift.instructions.checks import check_before, check_pose, check_shared
from undrift.instructions.draft import Draft
from undrift.instructions.english import spelt
from undrift.instructions.forms import Gaps
from undrift.instructions.lexicon import adjective_class, pose_class
from undrift.instructions.names import IT, Reference
from undrift.instructions.pose_slots import Pose
from undrift.instructions.poses import express, give_up, take_pose
from undrift.instructions.qualities import drop_quality, exchange_quality, joined_well, set_qualities
from undrift.instructions.quality_slots import Changed
from undrift.instructions.refusals import Names, NotUnderstood, Why
from undrift.instructions.scene_edits import background


def quality(draft: Draft, gaps: Gaps) -> None:
    """Give things qualities, each in place of those that it excludes."""
    if draft.world is not None and gaps["quality"][0] in draft.world.poses:
        pose(draft, {**gaps, "pose": Pose(gaps["quality"], "posture")})
        return
    if draft.world is None and [pose_class(word) for word in gaps["quality"]] == ["posture"]:
        pose(draft, {**gaps, "pose": Pose(gaps["quality"], "posture")})
        return
    poses = () if draft.world is None else tuple(word for word in gaps["quality"] if word in draft.world.poses)
    if poses:
        rest = tuple(word for word in gaps["quality"] if word not in poses)
        quality(draft, {**gaps, "quality": joined_well(rest)})
        quality(draft, {**gaps, "quality": poses})
        return
    patterned = all(adjective_class(word) == "pattern" for word in gaps["quality"])
    weather = draft.world is None and all(adjective_class(word) == "weather" for word in gaps["quality"])
    for reference in gaps.get("things", gaps.get("owner", (IT,))):
        number = _outdoors(draft, reference) if weather else None
        if number is None:
            number = draft.find_first(reference) if patterned else draft.find(reference)
        check_before(draft, number, gaps.get("from"))
        set_qualities(draft, number, gaps["quality"], reference)


def patterned(draft: Draft, gaps: Gaps) -> None:
    """Give things a pattern, by what is on them."""
    if "unlike" in gaps:
        for reference in gaps.get("things", (IT,)):
            check_before(draft, draft.find_first(reference), gaps["unlike"])
    quality(
        draft, {**gaps, "quality": next(gaps[name] for name in ("patterning", "pattern", "stripe") if name in gaps)}
    )


def patterned_in(draft: Draft, gaps: Gaps) -> None:
    """Give things a pattern in a colour or several: "stripe the ball red and white"."""
    pattern: tuple[str, ...] = gaps["stripe" if "stripe" in gaps else "pattern"]
    quality(draft, gaps)
    quality(draft, {**gaps, "quality": pattern})


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


def recolour(draft: Draft, gaps: Gaps) -> None:
    """Give what has a quality another one: "change blue to green", "sunny instead of rainy"."""
    old = [word for word in gaps["old"] if word != "and"]
    exchange_quality(draft, _only(draft, _with_quality(draft, old), old), gaps["old"], gaps["quality"])


def instead(draft: Draft, gaps: Gaps) -> None:
    """Give things a quality in the place of one that is said: "a wooden table instead of a white one"."""
    changed: Changed | None = gaps.get("changed")
    for reference in gaps["things"] if changed is None else (changed.thing,):
        said = gaps["quality"] if changed is None else changed.quality
        if "old" not in gaps or _is_plain(draft, reference, gaps["old"]):
            quality(draft, {"things": (reference,), "quality": said})
            continue
        exchange_quality(draft, draft.find(reference), gaps["old"], said)


def _is_plain(draft: Draft, reference: Reference, said: Sequence[str]) -> bool:
    """Whether a thing is said to be plain, which a world's captions do not say, and is."""
    if draft.world is None or tuple(said) != draft.world.patterns[:1]:
        return False
    return not set(draft.phrase(draft.find(reference)).modifiers) & set(draft.world.patterns)


def _outdoors(draft: Draft, reference: Reference) -> int | None:
    """What has the weather that "it" is to have: the only thing that has one, or the only place; None if none is."""
    if not reference.is_pronoun or draft.last is not None:
        return None
    said = [k for k, phrase in draft.named() if any(adjective_class(spelt(m)) == "weather" for m in phrase.modifiers)]
    found = said or [k for k, part in enumerate(draft.parts) if part.is_place and not part.is_time]
    return found[0] if len(found) == 1 else None


def pose_there(draft: Draft, gaps: Gaps) -> None:
    """Let things take a pose in another place: "let the cat sit on a beach"; who has the pose keeps it."""
    wanted: Pose = gaps["pose"]
    said = wanted.words if draft.world is None else draft.world.pose(wanted.words)
    for reference in gaps["things"]:
        number = draft.find_first(reference)
        own = [part.joiner for k, part in enumerate(draft.parts) if part.pose and draft.owner(k) == number]
        if (said or None) != (own[0] if own else None):
            pose(draft, {"things": (reference,), "pose": wanted})
    background(draft, {"located": gaps["located"]})


def stated(draft: Draft, gaps: Gaps) -> None:
    """Change nothing, but know what is spoken of: "the bird is blue, make it pink".

    Raises:
        NotUnderstood: it is not so; then it may be a wish.
    """
    for reference in gaps["things"]:
        number = draft.find(reference)
        check_before(draft, number, tuple(word for word in gaps["quality"] if word != "and"))
        draft.last = draft.parts[number]


def fragment(draft: Draft, gaps: Gaps) -> None:
    """Give a thing the qualities that it is named with: "a blue dog" of a green one."""
    changed: Changed = gaps["fragment"]
    quality(draft, {"things": (changed.thing,), "quality": changed.quality})


def _with_quality(draft: Draft, said: Sequence[str]) -> list[int]:
    """The numbers of all things that have these qualities."""
    return [k for k, phrase in draft.named() if set(map(spelt, said)) <= set(map(spelt, phrase.modifiers))]


def _only(draft: Draft, found: Sequence[int], said: Sequence[str]) -> int:
    """The one thing that has a quality, or a refusal that says which have."""
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotUnderstood(Why.NOTHING_IS, quality=" ".join(said), named=draft.names())
    choices = Names(f"the {draft.phrase(k).noun}" for k in found)
    raise NotUnderstood(Why.AMBIGUOUS, said=" ".join(said), choices=choices)
