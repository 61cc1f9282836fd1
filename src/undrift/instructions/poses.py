"""Poses: how things are made to take one, and to give one up."""

from __future__ import annotations

from dataclasses import replace

from undrift.instructions.caption import Part
from undrift.instructions.checks import check_shared
from undrift.instructions.draft import Draft
from undrift.instructions.lexicon import opposites, pairs, words
from undrift.instructions.pose_slots import Pose
from undrift.instructions.refusals import Names, NotUnderstood, Why
from undrift.instructions.things import after_thing


def give_up(draft: Draft, number: int, pose: str) -> bool:
    """Take a pose from a thing; False if the caption says none such of it.

    Raises:
        NotUnderstood: it goes with something, as in "riding a horse" and "walking through a field".
    """
    own = [k for k, part in enumerate(draft.parts) if pose in part.joiner and draft.owner(k) == number]
    if not own:
        return False
    following = draft.parts[own[0] + 1 :][:1]
    ways = [part for part in following if part.lead in words("verbs", "ways")]
    if draft.parts[own[0]].phrase is not None or ways:
        said = " ".join(word for part in (draft.parts[own[0]], *ways) for word in part.words)
        raise NotUnderstood(Why.UNCLEAR_REST, said=said)
    del draft.parts[own[0]]
    draft.last = draft.parts[number]
    return True


def express(draft: Draft, number: int, wanted: Pose) -> None:
    """Let something smile, cry or the like: captions say so before the noun."""
    phrase = draft.phrase(number)
    others = frozenset(pairs("verbs", "expression").values())
    others |= opposites(wanted.words[0])
    kept = tuple(word for word in phrase.modifiers if word.lower() not in others)
    new = replace(phrase, modifiers=(*wanted.words, *kept))
    if new == phrase:
        raise NotUnderstood(Why.IS_ALREADY, thing=phrase.noun, quality=" ".join(wanted.words))
    for k in reversed(range(number + 1, len(draft.parts))):
        if draft.parts[k].pose == "expression" and draft.owner(k) == number and draft.parts[k].phrase is None:
            del draft.parts[k]
    draft.rewrite(number, new)


def take_pose(draft: Draft, number: int, wanted: Pose) -> None:
    """Let something stand, sit or look in another way than it does."""
    if draft.world is not None:
        thing = draft.phrase(number).noun
        if thing not in draft.world.wearers:
            wearers = Names(draft.world.wearers)
            raise NotUnderstood(Why.NO_POSE_HERE, thing=thing, pose=" ".join(wanted.words), wearers=wearers)
        wanted = replace(wanted, words=draft.world.pose(wanted.words))
    own = [k for k, part in enumerate(draft.parts) if part.pose == wanted.kind and draft.owner(k) == number]
    check_shared(draft, lambda part: part.pose == wanted.kind)
    bound = [k for k in own if draft.parts[k].phrase is not None]
    if bound:
        part = draft.parts[bound[0]]
        raise NotUnderstood(Why.POSE_BOUND, shown=" ".join(part.words), thing=draft.phrase(bound[0]).noun)
    if own:
        if not wanted.words:
            del draft.parts[own[0]]
            return
        if draft.parts[own[0]].joiner == wanted.words:
            raise NotUnderstood(Why.IS_ALREADY, thing=draft.phrase(number).noun, quality=" ".join(wanted.words))
        after = draft.parts[own[0] + 1 :][:1]
        moves = wanted.words[0] in words("verbs", "moving")
        if after and after[0].lead in words("verbs", "ways") and not moves:
            raise NotUnderstood(Why.MAKES_NO_SENSE, said=" ".join((*wanted.words, *after[0].words)))
        draft.parts[own[0]] = replace(draft.parts[own[0]], joiner=wanted.words)
        return
    if not wanted.words:
        raise NotUnderstood(Why.NO_OTHER_POSE, thing=draft.phrase(number).noun)
    draft.insert(after_thing(draft, number), [Part(wanted.words, None)])
    draft.last = draft.parts[number]
