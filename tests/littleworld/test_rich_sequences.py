"""Sequences of the whole world: patterns, poses and styles among the edits."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undrift.errors import InputError
from undrift.littleworld.captions import caption
from undrift.littleworld.edits import EDIT_TYPES, RICH_EDIT_TYPES, edit_between
from undrift.littleworld.scenes import ATTRIBUTES, PLACEMENTS, Scene, Thing
from undrift.littleworld.sequences import FRESH_TURNS, EditSequence, sample_rich_sequence

seeds = st.integers(0, 2**32)
CAT = Scene("meadow", Thing("cat", "red"), Thing("hat", "blue"), None, PLACEMENTS[0])
STRIPED = replace(CAT, pattern="striped")
CHANGES = {
    "material": {"pattern"},
    "pose": {"pose"},
    "style": {"style"},
    "background": {"background"},
}


def sequence_of(seed: int, turns: int = 8) -> EditSequence:
    return sample_rich_sequence(random.Random(seed), turns)


def test_the_plain_types_come_first() -> None:
    assert EDIT_TYPES == ("object", "add", "delete", "colour", "background")
    assert (*EDIT_TYPES, "material", "pose", "style") == RICH_EDIT_TYPES


def test_rich_sequences_of_a_seed_stay_what_they_were() -> None:
    known = [sequence_of(seed, 1 + seed % FRESH_TURNS).to_dict() for seed in range(40)]
    text = json.dumps(known, sort_keys=True).encode()
    assert hashlib.sha256(text).hexdigest() == "187b9dfd19a785725bd06c0bf71b2774ea016064cb4b9e4fe9998cf7b0de57d6"


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_eight_turns_are_the_eight_types_and_each_changes_its_own(seed: int) -> None:
    sequence = sequence_of(seed)
    assert EditSequence.from_dict(json.loads(json.dumps(sequence.to_dict()))) == sequence
    assert {edit.type for edit in sequence.edits} == set(RICH_EDIT_TYPES)
    for before, after, edit in zip(sequence.scenes[:-1], sequence.scenes[1:], sequence.edits, strict=True):
        old, new = before.attributes(), after.attributes()
        changed = {name for name in ATTRIBUTES if old[name] != new[name]}
        assert changed == CHANGES.get(edit.type, changed)
        assert {name.removesuffix("_colour") for name in changed} == {edit.target}
        assert (edit.source_prompt, edit.target_prompt) == (caption(before), caption(after))


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_masks_are_exactly_the_changed_pixels(seed: int) -> None:
    sequence = sequence_of(seed)
    pictures = [np.asarray(sequence.picture(turn)) for turn in range(sequence.turns + 1)]
    for turn in range(1, sequence.turns + 1):
        mask = sequence.mask(turn)
        assert mask.any()
        assert np.array_equal(mask, (pictures[turn] != pictures[turn - 1]).any(axis=-1))


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_no_turn_of_a_long_sequence_undoes_the_one_before(seed: int) -> None:
    scenes = sequence_of(seed, 40).scenes
    assert all(old != new for old, new in zip(scenes, scenes[2:], strict=False))
    assert sequence_of(seed, 24).scenes == scenes[:25]


@pytest.mark.parametrize(
    ("before", "after", "label", "words"),
    [
        (CAT, STRIPED, "make the red cat striped", ("a red cat", "a striped red cat")),
        (STRIPED, CAT, "make the red cat plain", ("a striped red cat", "a red cat")),
        (CAT, replace(CAT, pose="jumping"), "let the red cat jump", ("a red cat", "a red cat jumping")),
        (replace(STRIPED, pose="waving"), STRIPED, "let the red cat stand", None),
        (CAT, replace(CAT, style="pencil"), "turn the picture into a pencil drawing", (None, "a pencil drawing")),
        (replace(CAT, style="neon"), CAT, "turn the picture into a normal picture", ("a neon picture", None)),
        (
            STRIPED,
            replace(STRIPED, subject=Thing("dog", "red")),
            "turn the red cat into a red dog",
            ("a striped red cat", "a striped red dog"),
        ),
    ],
)
def test_labels_and_words(before: Scene, after: Scene, label: str, words: tuple[str, str] | None) -> None:
    edit = edit_between(before, after)
    assert edit.label == label
    assert words is None or (edit.before, edit.after) == words


def test_a_pattern_and_a_style_at_once_are_no_edit() -> None:
    with pytest.raises(InputError, match="no single edit leads from"):
        edit_between(CAT, replace(STRIPED, style="neon"))
