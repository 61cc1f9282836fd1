"""The caption of a scene: one plain sentence that names every attribute and nothing else."""

from __future__ import annotations

from undrift.littleworld.scenes import BACKGROUNDS, COLOURS, COMPANIONS, SUBJECTS, WEARABLES, Scene, Thing

PLACES = {
    "meadow": "in a meadow",
    "beach": "on a beach",
    "desert": "in a desert",
    "snow": "in the snow",
    "city": "in a city",
    "night": "at night",
}
_PLURAL = frozenset({"glasses"})
_JOINERS = ("a", "an", "the", "wearing", "next", "to", "in", "on", "at")

VOCABULARY: tuple[str, ...] = (*_JOINERS, *BACKGROUNDS, *COLOURS, *SUBJECTS, *WEARABLES, *COMPANIONS)
"""Every word that can occur in a caption."""


def caption(scene: Scene) -> str:
    """The sentence for a scene, such as "a red cat wearing a blue hat next to a yellow flower in a meadow".

    Two scenes have the same caption exactly when they have the same attributes.
    """
    parts = [phrase(scene.subject)]
    if scene.wearable is not None:
        parts.append(f"wearing {phrase(scene.wearable)}")
    if scene.companion is not None:
        parts.append(f"next to {phrase(scene.companion)}")
    parts.append(PLACES[scene.background])
    return " ".join(parts)


def phrase(thing: Thing) -> str:
    """A thing in words, such as "an orange hat" or "blue glasses"."""
    named = f"{thing.colour} {thing.kind}"
    if thing.kind in _PLURAL:
        return named
    return f"{'an' if named[0] in 'aeiou' else 'a'} {named}"
