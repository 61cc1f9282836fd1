"""The drift rate: nothing for what was asked and for the autoencoder's loss, everything else once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

import undrift
from tests.bench.metrics.outcomes import (
    PhotoCase,
    Shown,
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
from tests.support.slow_cases import slow_but_for
from undrift.bench.case import Case
from undrift.bench.suites.littleworld import LittleWorldCase
from undrift.littleworld.render import render
from undrift.littleworld.scenes import Placement, Scene, Thing
from undrift.littleworld.sequences import EditSequence

BOTH = ("drift-rate", "drift-rate-since-original")


@pytest.fixture(scope="module")
def decoded() -> dict[tuple[str, int], Image.Image]:
    """The right pictures after one trip through the embedded model's autoencoder, by case and turn."""
    model = undrift.load("littleworld")
    made = {}
    for case in quick():
        pictures = model.decode(model.encode([case.truth(turn) for turn in range(case.turns + 1)]))
        made.update({(case.id, turn): picture for turn, picture in enumerate(pictures)})
    return made


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("shown", [right, untouched])
def test_nothing_unasked_is_no_drift(name: str, shown: Shown) -> None:
    assert set(scored(name, played(shown))) <= {0.0, None}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_the_loss_of_the_autoencoder_is_no_drift(name: str, decoded: dict[tuple[str, int], Image.Image]) -> None:
    def after(number: int, case: Case, turn: int) -> Image.Image:
        return decoded[case.id, turn]

    def before(number: int, case: Case, turn: int) -> Image.Image:
        return decoded[case.id, 0]

    for shown in (after, before):
        values = scored(name, played(shown))
        assert values.count(0.0) > 20
        assert values.count(100.0) == 0


@pytest.mark.parametrize("name", slow_but_for(BOTH[:1], BOTH))
def test_another_sequences_pictures_drift_always(name: str) -> None:
    assert set(scored(name, played(shuffled))) <= {100.0, None}
    assert scored(name, played(shuffled)).count(100.0) > 20


def test_drift_counts_in_the_turn_that_makes_it_and_since_the_original_for_ever() -> None:
    case, spoiled = pair()
    turns = [single(case, 1, spoiled.truth(1), case.original()), single(case, 2, spoiled.truth(2), spoiled.truth(1))]
    assert numbers("drift-rate", turns) == [100.0, 0.0]
    assert numbers("drift-rate-since-original", turns) == [100.0, 100.0]


def test_only_what_is_outside_of_the_mask_counts() -> None:
    case, _ = pair()
    asked_otherwise = render(replace(case.sequence.scenes[1], companion=Thing("gift", "pink")))
    assert numbers("drift-rate", [single(case, 1, asked_otherwise, case.original())]) == [0.0]


def test_a_tint_below_the_threshold_shows_when_it_has_added_up() -> None:
    case, _ = pair()
    steps = [case.original(), *(tinted(case.truth(turn), 20 * turn) for turn in (1, 2))]
    turns = [single(case, turn, steps[turn], steps[turn - 1]) for turn in (1, 2)]
    assert numbers("drift-rate", turns) == [0.0, 0.0]
    assert numbers("drift-rate-since-original", turns) == [0.0, 100.0]


@pytest.mark.parametrize("name", BOTH)
def test_turns_that_leave_nothing_alone_and_other_worlds_are_not_scored(name: str) -> None:
    photo = single(PhotoCase(noise(0)), 1, noise(1), noise(0))
    assert scored(name, [photo, outcome(quick()[0], 1, right)]) == [None, 0.0]


def pair() -> tuple[LittleWorldCase, LittleWorldCase]:
    """A sequence that changes the companion twice, and the same with a hat that nobody asked to be green."""
    place = Placement(x=84, y=112, scale=1.1, facing="left", companion_x=24, companion_y=116)
    first = Scene("meadow", Thing("cat", "red"), Thing("hat", "blue"), Thing("gift", "red"), place)
    scenes = [first, *(replace(first, companion=Thing("gift", colour)) for colour in ("blue", "white"))]
    spoiled = [first, *(replace(scene, wearable=Thing("hat", "orange")) for scene in scenes[1:])]
    return LittleWorldCase("good", EditSequence(tuple(scenes)), 0), Spoiled("good", tuple(spoiled))


class Spoiled(LittleWorldCase):
    """Pictures that are no sequence of single edits."""

    def __init__(self, name: str, scenes: tuple[Scene, ...]) -> None:
        self.id, self.scenes = name, scenes

    def truth(self, turn: int) -> Image.Image:
        return render(self.scenes[turn])


def tinted(picture: Image.Image, by: int) -> Image.Image:
    return picture.point([max(0, value - by) for value in range(256)] * 3)
