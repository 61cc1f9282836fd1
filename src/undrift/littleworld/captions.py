"""The caption of a scene: one plain sentence that names every attribute and nothing else."""

from __future__ import annotations

from undrift.littleworld.scenes import (
    BACKGROUNDS,
    COLOURS,
    COMPANIONS,
    PATTERNS,
    POSES,
    SUBJECTS,
    WEARABLES,
    Scene,
    Thing,
)

PLACES = {
    "meadow": "in a meadow",
    "beach": "on a beach",
    "desert": "in a desert",
    "snow": "in the snow",
    "city": "in a city",
    "night": "at night",
}
OPENINGS = {"plain": "", "pencil": "a pencil drawing of", "neon": "a neon picture of"}
_PLURAL = frozenset({"glasses"})
_JOINERS = ("a", "an", "the", "wearing", "next", "to", "in", "on", "at")

_MANNERS = (*PATTERNS[1:], *POSES[1:], "pencil", "drawing", "of", "neon", "picture")

VOCABULARY: tuple[str, ...] = (*_JOINERS, *BACKGROUNDS, *COLOURS, *SUBJECTS, *WEARABLES, *COMPANIONS, *_MANNERS)
"""Every word that can occur in a caption. New words go to the end: trained models number words by their place."""


def caption(scene: Scene) -> str:
    """The sentence for a scene, such as "a red cat wearing a blue hat next to a yellow flower in a meadow".

    A pattern stands before the colour, a pose after the subject, a style before everything: "a pencil drawing of a
    striped red cat sitting next to a yellow flower in a meadow". What is usual (plain, standing) is not said. The
    longest caption has 21 words. Two scenes have the same caption exactly when they have the same `attributes`.
    """
    parts = [OPENINGS[scene.style], subject_phrase(scene)]
    if scene.pose != POSES[0]:
        parts.append(scene.pose)
    if scene.wearable is not None:
        parts.append(f"wearing {phrase(scene.wearable)}")
    if scene.companion is not None:
        parts.append(f"next to {phrase(scene.companion)}")
    parts.append(PLACES[scene.background])
    return " ".join(part for part in parts if part)


def subject_phrase(scene: Scene) -> str:
    """The subject in words, such as "a striped red cat"."""
    if scene.pattern == PATTERNS[0]:
        return phrase(scene.subject)
    return phrase(Thing(scene.subject.kind, f"{scene.pattern} {scene.subject.colour}"))


def phrase(thing: Thing) -> str:
    """A thing in words, such as "an orange hat" or "blue glasses"."""
    named = f"{thing.colour} {thing.kind}"
    if thing.kind in _PLURAL:
        return named
    return f"{'an' if named[0] in 'aeiou' else 'a'} {named}"
