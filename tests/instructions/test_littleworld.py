"""Edits whose right answers the drawn world itself knows: the captions of its scenes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.slow_cases import slow_but_for
from undrift.instructions import NotUnderstood, text_form, understand
from undrift.littleworld.captions import caption, phrase
from undrift.littleworld.scenes import (
    BACKGROUNDS,
    COLOURS,
    COMPANIONS,
    PATTERNS,
    POSES,
    STYLES,
    SUBJECTS,
    WEARABLES,
    WEARERS,
    Scene,
    Thing,
    sample_rich_scene,
    sample_thing,
)
from undrift.littleworld.sequences import EditSequence, sample_rich_sequence, sample_sequence

Change = Callable[[Scene, random.Random], tuple[str, Scene] | None]
Sample = Callable[[random.Random, int], EditSequence]


@pytest.mark.parametrize("sample", [sample_sequence, sample_rich_sequence])
@pytest.mark.parametrize("seed", range(8))
def test_the_labels_of_sampled_edits_give_the_captions_of_their_scenes(seed: int, sample: Sample) -> None:
    sequence = sample(random.Random(seed), 16)
    for number, edit in enumerate(sequence.edits):
        reading = understand(edit.label, edit.source_prompt, sequence.captions[: number + 1])
        assert (reading.target, reading.kinds) == (edit.target_prompt, (edit.type,))


@pytest.mark.parametrize("sample", [sample_sequence, sample_rich_sequence])
@pytest.mark.parametrize("seed", range(8))
def test_captions_are_captions(seed: int, sample: Sample) -> None:
    sequence = sample(random.Random(1000 + seed), 10)
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
        bound = scene.wearable or scene.pose != "standing"
        kind = other(rng, WEARERS if bound else SUBJECTS, scene.subject.kind)
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


def patterned(words: str) -> Change:
    def change(scene: Scene, rng: random.Random) -> tuple[str, Scene]:
        pattern = other(rng, PATTERNS, scene.pattern)
        return words.format(thing=scene.subject.kind, pattern=pattern), replace(scene, pattern=pattern)

    return change


def posed(words: str) -> Change:
    verbs = {"standing": "stand", "sitting": "sit", "jumping": "jump", "waving": "wave"}

    def change(scene: Scene, rng: random.Random) -> tuple[str, Scene] | None:
        if scene.subject.kind not in WEARERS:
            return None
        pose = other(rng, POSES, scene.pose)
        said = words.format(thing=scene.subject.kind, verb=verbs[pose], pose=pose)
        return said, replace(scene, pose=pose)

    return change


def styled(words: str) -> Change:
    names = {"plain": "a normal picture", "pencil": "a pencil drawing", "neon": "a neon picture"}

    def change(scene: Scene, rng: random.Random) -> tuple[str, Scene]:
        style = other(rng, STYLES, scene.style)
        return words.format(style=names[style]), replace(scene, style=style)

    return change


def unstyled(words: str) -> Change:
    def change(scene: Scene, rng: random.Random) -> tuple[str, Scene] | None:
        return None if scene.style == "plain" else (words, replace(scene, style="plain"))

    return change


WAYS: dict[str, Change] = {
    words: make(words)
    for make, said in (
        (subject_colour, ("paint the {thing} {colour}", "the {thing} should be {colour}",
                          "I'd like the {thing} to be {colour}", "change the {thing}'s colour to {colour}")),
        (subject_kind, ("turn the {old} into {new}", "change the {old} to {new}", "make the {old} {new}",
                        "replace the {old} with {new}", "I want {new} instead of the {old}")),
        (companion_gone, ("remove the {thing}", "get rid of the {thing}", "take the {thing} away", "no {thing}")),
        (wearable_on, ("give the {who} {new}", "put {new} on the {who}", "the {who} should wear {new}", "add {new}")),
        (companion_there, ("add {new}", "put {new} next to the {who}", "there should be {new} beside the {who}")),
        (elsewhere, ("change the background to {place}", "make the background {place}",
                     "replace the background with {place}")),
        (patterned, ("make it {pattern}", "make the {thing} {pattern}", "the {thing} should be {pattern}",
                     "change the pattern of the {thing} to {pattern}")),
        (posed, ("let the {thing} {verb}", "make it {verb}", "the {thing} should be {pose}",
                 "have the {thing} {verb}")),
        (styled, ("turn the picture into {style}", "make it {style}", "as {style}", "change the style to {style}")),
        (unstyled, ("back to a normal picture", "turn it back into a normal picture", "remove the style",
                    "make it look normal again")),
    )
    for words in said
}  # fmt: skip


@pytest.mark.parametrize("words", WAYS)
def test_ways_to_say_it_give_the_caption_of_the_changed_scene(words: str) -> None:
    rng = random.Random(words)
    tried = 0
    while tried < 25:
        scene = sample_rich_scene(rng)
        changed = WAYS[words](scene, rng)
        if changed is None:
            continue
        said, after = changed
        assert understand(said, caption(scene)).target == caption(after), said
        tried += 1


@pytest.mark.parametrize("seed", slow_but_for({0}, range(5)))
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


@pytest.mark.parametrize(
    ("said", "shown", "why"),
    [
        ("let the car sit", "a red car in a meadow", "a car cannot be sitting: only cat, dog, bird, robot can"),
        ("turn the cat into a house", "a red cat jumping at night", "a house cannot be jumping: only cat, dog"),
        (
            "make the hat dotted",
            "a red cat wearing a blue hat at night",
            "the hat cannot be dotted: here only the cat",
        ),
        ("let the cat stand up", "a red cat at night", "takes no other pose: it stands already"),
        ("make the cat plain", "a red cat at night", "'the cat' is plain already"),
        ("back to a normal picture", "a red cat at night", "the picture has no style"),
    ],
)
def test_what_the_world_cannot_show_is_refused(said: str, shown: str, why: str) -> None:
    with pytest.raises(NotUnderstood, match=why):
        understand(said, shown)


def test_it_is_what_was_spoken_of_last_also_for_a_pattern() -> None:
    with pytest.raises(NotUnderstood, match="the hat cannot be striped"):
        understand("add a blue hat and make it striped", "a red cat in a meadow")
