"""Edits whose right answers the drawn world itself knows: the captions of its scenes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from undrift.instructions import NotUnderstood, text_form, understand
from undrift.littleworld.captions import caption, phrase
from undrift.littleworld.scenes import (
    BACKGROUNDS,
    COLOURS,
    COMPANIONS,
    SUBJECTS,
    WEARABLES,
    WEARERS,
    Scene,
    Thing,
    sample_scene,
    sample_thing,
)
from undrift.littleworld.sequences import sample_sequence

Change = Callable[[Scene, random.Random], tuple[str, Scene] | None]


@pytest.mark.parametrize("seed", range(8))
def test_the_labels_of_sampled_edits_give_the_captions_of_their_scenes(seed: int) -> None:
    sequence = sample_sequence(random.Random(seed), 12)
    for number, edit in enumerate(sequence.edits):
        reading = understand(edit.label, edit.source_prompt, sequence.captions[: number + 1])
        assert (reading.target, reading.kinds) == (edit.target_prompt, (edit.type,))


@pytest.mark.parametrize("seed", range(8))
def test_captions_are_captions(seed: int) -> None:
    sequence = sample_sequence(random.Random(1000 + seed), 10)
    assert {text_form(text, sequence.captions[0]) for text in sequence.captions} == {"caption"}


def other(rng: random.Random, values: tuple[str, ...], now: str) -> str:
    return rng.choice([value for value in values if value != now])


def subject_colour(words: str) -> Change:
    def change(scene: Scene, rng: random.Random) -> tuple[str, Scene]:
        colour = other(rng, COLOURS, scene.subject.colour)
        after = replace(scene, subject=Thing(scene.subject.kind, colour))
        return words.format(thing=scene.subject.kind, colour=colour), after

    return change


def subject_kind(words: str) -> Change:
    def change(scene: Scene, rng: random.Random) -> tuple[str, Scene]:
        kind = other(rng, WEARERS if scene.wearable else SUBJECTS, scene.subject.kind)
        after = replace(scene, subject=Thing(kind, scene.subject.colour))
        article = "an" if kind[0] in "aeiou" else "a"
        return words.format(old=scene.subject.kind, new=f"{article} {kind}"), after

    return change


def companion_gone(words: str) -> Change:
    def change(scene: Scene, rng: random.Random) -> tuple[str, Scene] | None:
        if scene.companion is None:
            return None
        return words.format(thing=scene.companion.kind), replace(scene, companion=None)

    return change


def wearable_on(words: str) -> Change:
    def change(scene: Scene, rng: random.Random) -> tuple[str, Scene] | None:
        if scene.wearable is not None or scene.subject.kind not in WEARERS:
            return None
        worn = sample_thing(rng, WEARABLES)
        return words.format(new=phrase(worn), who=scene.subject.kind), replace(scene, wearable=worn)

    return change


def companion_there(words: str) -> Change:
    def change(scene: Scene, rng: random.Random) -> tuple[str, Scene] | None:
        if scene.companion is not None:
            return None
        thing = sample_thing(rng, COMPANIONS)
        return words.format(new=phrase(thing), who=scene.subject.kind), replace(scene, companion=thing)

    return change


def elsewhere(words: str) -> Change:
    def change(scene: Scene, rng: random.Random) -> tuple[str, Scene]:
        place = other(rng, BACKGROUNDS, scene.background)
        return words.format(place=place), replace(scene, background=place)

    return change


WAYS: dict[str, Change] = {
    words: make(words)
    for make, said in (
        (subject_colour, ("paint the {thing} {colour}", "the {thing} should be {colour}",
                          "I'd like the {thing} to be {colour}", "change the {thing}'s colour to {colour}")),
        (subject_kind, ("turn the {old} into {new}", "replace the {old} with {new}", "change the {old} to {new}",
                        "make the {old} {new}", "I want {new} instead of the {old}")),
        (companion_gone, ("remove the {thing}", "get rid of the {thing}", "take the {thing} away", "no {thing}")),
        (wearable_on, ("give the {who} {new}", "put {new} on the {who}", "the {who} should wear {new}", "add {new}")),
        (companion_there, ("add {new}", "put {new} next to the {who}", "there should be {new} beside the {who}")),
        (elsewhere, ("change the background to {place}", "make the background {place}",
                     "replace the background with {place}")),
    )
    for words in said
}  # fmt: skip


@pytest.mark.parametrize("words", WAYS)
def test_ways_to_say_it_give_the_caption_of_the_changed_scene(words: str) -> None:
    rng = random.Random(words)
    tried = 0
    while tried < 25:
        scene = sample_scene(rng)
        changed = WAYS[words](scene, rng)
        if changed is None:
            continue
        said, after = changed
        assert understand(said, caption(scene)).target == caption(after), said
        tried += 1


@pytest.mark.parametrize("seed", range(5))
def test_no_order_of_the_words_gives_a_caption_that_is_no_edit(seed: int) -> None:
    """Scrambled instructions are refused, or mean one of the edits that their words can mean."""
    rng = random.Random(seed)
    scene = "a red cat wearing a blue hat next to a yellow flower in a meadow"
    words = ["make", "the", "cat", "blue", "and", "the", "hat", "red"]
    right = {
        scene.replace("red cat", f"{cat} cat").replace("blue hat", f"{hat} hat")
        for cat in ("red", "blue")
        for hat in ("red", "blue")
    }
    for _ in range(60):
        said = " ".join(rng.sample(words, len(words)))
        if text_form(said, scene) == "caption":
            continue
        try:
            assert understand(said, scene).target in right, said
        except NotUnderstood:
            continue
