"""Unasked changes, on pictures with a known number of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.metrics.outcomes import PhotoCase, noise, numbers, outcome, played, right, scored, single, untouched
from undrift.bench.suites.littleworld import LittleWorldCase
from undrift.littleworld.render import render
from undrift.littleworld.scenes import Placement, Scene, Thing
from undrift.littleworld.sequences import EditSequence

BOTH = ("unasked-changes", "unasked-changes-since-original")
PLACE = Placement(x=84, y=112, scale=1.1, facing="left", companion_x=24, companion_y=116)
FIRST = Scene("meadow", Thing("cat", "red"), Thing("hat", "blue"), Thing("gift", "red"), PLACE)


@pytest.mark.parametrize("name", BOTH)
def test_right_and_untouched_pictures_have_none(name: str) -> None:
    assert set(scored(name, played(right))) <= {0.0, None}
    assert set(scored(name, played(untouched))) <= {0.0, None}


def test_every_attribute_counts_in_the_turn_that_changed_it() -> None:
    case = companions("blue", "white")
    spoiled = [replace(case.sequence.scenes[turn], background="night", wearable=None) for turn in (1, 2)]
    pictures = [case.original(), *map(render, spoiled)]
    turns = [single(case, turn, pictures[turn], pictures[turn - 1]) for turn in (1, 2)]
    assert numbers("unasked-changes", turns) == [3.0, 0.0]  # background, hat and the hat's colour
    assert numbers("unasked-changes-since-original", turns) == [3.0, 3.0]


def test_what_an_earlier_turn_asked_for_counts_against_the_turn_that_undoes_it_alone() -> None:
    scenes = (FIRST, replace(FIRST, background="beach"), replace(FIRST, background="beach", wearable=None))
    case = LittleWorldCase("two", EditSequence(scenes), 0)
    undone = single(case, 2, render(replace(FIRST, wearable=None)), render(scenes[1]))
    assert numbers("unasked-changes", [undone]) == [1.0]
    assert numbers("unasked-changes-since-original", [undone]) == [0.0]


def test_when_everything_was_asked_for_nothing_can_count() -> None:
    scenes = [FIRST, replace(FIRST, background="beach"), replace(FIRST, background="beach", wearable=None)]
    scenes.append(replace(scenes[-1], companion=None))
    scenes.append(replace(scenes[-1], subject=Thing("dog", "red")))
    scenes.append(replace(scenes[-1], subject=Thing("dog", "green")))
    scenes.append(replace(scenes[-1], pose="sitting"))
    scenes.append(replace(scenes[-1], pattern="striped"))
    scenes.append(replace(scenes[-1], style="pencil"))
    case = LittleWorldCase("all", EditSequence(tuple(scenes)), 0)
    scores = scored("unasked-changes-since-original", [outcome(case, turn, right) for turn in range(1, 9)])
    assert scores[:4] == [0.0] * 4
    assert scores[-1] is None


@pytest.mark.parametrize("name", BOTH)
def test_other_worlds_are_not_scored(name: str) -> None:
    case = companions("blue")
    assert scored(name, [single(PhotoCase(noise(0)), 1, noise(1), noise(0)), outcome(case, 1, right)]) == [None, 0.0]


def companions(*colours: str) -> LittleWorldCase:
    scenes = (FIRST, *(replace(FIRST, companion=Thing("gift", colour)) for colour in colours))
    return LittleWorldCase("gifts", EditSequence(scenes), 0)
