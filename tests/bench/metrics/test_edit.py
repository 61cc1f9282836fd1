"""Edit success, score and progress, and the freeze rate, on pictures whose rightness is known."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from PIL import Image

from tests.bench.metrics.outcomes import (
    PhotoCase,
    noise,
    numbers,
    outcome,
    played,
    quick,
    right,
    scored,
    shuffled,
    single,
    untouched,
)
from undrift.bench.metrics.base import Outcome
from undrift.bench.metrics.drawn import asked, sequence_of
from undrift.bench.suites.littleworld import LittleWorldCase
from undrift.littleworld.render import render
from undrift.littleworld.scenes import Placement, Scene, Thing
from undrift.littleworld.sequences import EditSequence

ALL = ("edit-success", "edit-score", "edit-progress", "freeze-rate")


def blend(a: Image.Image, b: Image.Image, share: float) -> Image.Image:
    """``share`` of the way from a to b."""
    return Image.blend(a, b, share)


@pytest.mark.parametrize(
    ("name", "expected"), [("edit-success", 100), ("edit-score", 1), ("edit-progress", 1), ("freeze-rate", 0)]
)
def test_the_right_pictures_score_perfectly(name: str, expected: float) -> None:
    assert numbers(name, played(right)) == [expected] * 32


def test_an_editor_that_does_nothing_scores_nothing() -> None:
    turns = played(untouched)
    assert numbers("freeze-rate", turns) == [100.0] * 32
    assert numbers("edit-success", turns) == [0.0] * 32
    assert set(scored("edit-progress", turns)) <= {0.0, None}  # None where the original looks right by chance


def test_pictures_of_another_sequence_succeed_as_often_as_chance_has_it() -> None:
    turns = played(shuffled)
    chance = fmean(100.0 * _shows(shown_scene(turn).attributes(), wanted(turn)) for turn in turns)
    assert 0 < chance < 40
    assert fmean(numbers("edit-success", turns)) == pytest.approx(chance, abs=3.2)  # one turn misjudged at most
    assert fmean(numbers("freeze-rate", turns)) > 60


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_progress_is_the_share_of_the_way(share: float) -> None:
    case = quick()[0]
    turn = single(case, 1, blend(case.truth(0), case.truth(1), share), case.original())
    for name in ("edit-progress", "edit-score"):
        assert numbers(name, [turn]) == [pytest.approx(share, abs=0.02)]  # 8-bit rounding


def test_an_inherited_error_is_charged_by_the_score_and_not_by_the_progress() -> None:
    case = quick()[0]
    # In every channel the end of the scale that is farther from what is right after turn 2.
    spoiled = Image.fromarray(np.where(np.asarray(case.truth(2)) > 127, 0, 255).astype(np.uint8))
    turn = single(case, 2, spoiled, spoiled)
    assert numbers("edit-progress", [turn]) == [0.0]
    assert numbers("edit-score", [turn])[0] < -0.1


def test_what_returns_to_an_earlier_value_must_still_be_done() -> None:
    scenes = [painted("red"), painted("blue"), painted("red")]
    case = LittleWorldCase("back", EditSequence(tuple(scenes)), 0)
    turn = outcome(case, 2, untouched)
    assert numbers("edit-success", [turn]) == [100.0]  # the original happens to show what is asked
    assert numbers("freeze-rate", [turn]) == [100.0]


def test_a_mask_that_looks_right_by_chance_is_no_edit() -> None:
    """Turn 1 was to make a star a flower and did not; turn 2 removes the flower, which the star does not overlap."""
    stars = replace(painted("blue"), companion=Thing("star", "pink"))
    scenes = (stars, replace(stars, companion=Thing("flower", "pink")), replace(stars, companion=None))
    turn = outcome(LittleWorldCase("star", EditSequence(scenes), 0), 2, untouched)
    assert scored("edit-progress", [turn]) == [None]
    assert numbers("freeze-rate", [turn]) == [100.0]


def test_a_thing_that_is_put_elsewhere_is_not_frozen() -> None:
    """The star hangs beside its place: little of the mask came right, but what was asked is there."""
    bare = painted("blue")
    asked_for = replace(bare, companion=Thing("star", "pink"))
    case = LittleWorldCase("star", EditSequence((bare, asked_for)), 0)
    elsewhere = replace(asked_for, placement=replace(bare.placement, companion_x=46))
    turn = single(case, 1, render(elsewhere), case.original())
    assert numbers("edit-progress", [turn])[0] < 0.2
    assert numbers("edit-success", [turn]) == [100.0]
    assert numbers("freeze-rate", [turn]) == [0.0]


def test_half_of_the_way_without_being_seen_is_frozen_and_more_is_not() -> None:
    """Blends of two colours are neither, so that the judge may see anything: the way made decides."""
    case = LittleWorldCase("paint", EditSequence((painted("blue"), painted("yellow"))), 0)
    turns = [single(case, 1, blend(case.truth(0), case.truth(1), share), case.original()) for share in (0.3, 0.7)]
    assert numbers("edit-success", turns[:1]) == [0.0]
    assert numbers("freeze-rate", turns) == [100.0, 0.0]


@pytest.mark.parametrize("name", ALL)
def test_a_picture_of_another_world_is_not_scored(name: str) -> None:
    case = PhotoCase(noise(0))
    photo = single(case, 1, noise(1), noise(0))
    mixed = [photo, outcome(quick()[0], 1, right), photo]
    assert [value is None for value in scored(name, mixed)] == [True, False, True]


@pytest.mark.parametrize("name", ALL)
def test_a_batch_equals_its_turns(name: str) -> None:
    turns = played(shuffled)[:6]
    assert scored(name, turns) == [scored(name, [turn])[0] for turn in turns]
    assert scored(name, []) == []


def wanted(turn: Outcome) -> dict[str, str]:
    sequence = sequence_of(turn)
    assert sequence is not None
    return asked(sequence, turn.turn)


def shown_scene(turn: Outcome) -> Scene:
    """The scene of the picture that ``shuffled`` gives."""
    number = next(number for number, case in enumerate(quick()) if case is turn.case)
    return quick()[(number + turn.turn) % 8].sequence.scenes[turn.turn]


def _shows(scene: dict[str, str], asked_for: dict[str, str]) -> bool:
    return scene.items() >= asked_for.items()


def painted(colour: str) -> Scene:
    place = Placement(x=84, y=112, scale=1.1, facing="left", companion_x=24, companion_y=116)
    scene = Scene("meadow", Thing("car", "red"), None, None, place)
    return replace(scene, subject=Thing("car", colour))


def patterned() -> LittleWorldCase:
    plain = Scene("meadow", Thing("cat", "red"), None, None, Placement(80, 112, 1.1, "left", 24, 112))
    return LittleWorldCase("patterned", EditSequence((plain, replace(plain, pattern="striped"))), seed=0)


def test_a_pattern_is_judged_as_every_attribute_is() -> None:
    case = patterned()
    right_, wrong = case.truth(1), case.truth(0)
    turns = [single(case, 1, picture, wrong) for picture in (right_, wrong)]
    assert scored("edit-success", turns) == [100.0, 0.0]
    assert scored("freeze-rate", turns) == [0.0, 100.0]
    assert scored("edit-score", turns) == [1.0, 0.0]
