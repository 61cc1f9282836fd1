from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.slow_cases import slow_but_for
from undrift.errors import InputError
from undrift.littleworld.render import render
from undrift.littleworld.scenes import (
    ATTRIBUTES,
    COLOURS,
    COMPANIONS,
    PLACEMENTS,
    SCALES,
    SUBJECTS,
    WEARABLES,
    WEARERS,
    Scene,
    Thing,
    sample_scene,
)

seeds = st.integers(0, 2**32)


def scene_of(seed: int) -> Scene:
    return sample_scene(random.Random(seed))


def pixels(scene: Scene) -> NDArray[np.uint8]:
    return np.asarray(render(scene))


def test_the_drawn_world_does_not_change() -> None:
    """The embedded model was trained on exactly these pictures; a changed digest means training it anew."""
    digest = hashlib.sha256()
    for seed in range(200):
        digest.update(render(scene_of(seed)).tobytes())
    assert digest.hexdigest() == "70d7a8d526d231462dce5adcecfd4783171f692598d11c0deb68f90acfe6e3e4"


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_json_round_trip(seed: int) -> None:
    scene = scene_of(seed)
    assert Scene.from_dict(json.loads(json.dumps(scene.to_dict()))) == scene


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_same_seed_same_picture(seed: int) -> None:
    assert render(scene_of(seed)).tobytes() == render(scene_of(seed)).tobytes()


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_attributes_take_listed_values_only(seed: int) -> None:
    attributes = scene_of(seed).attributes()
    assert attributes.keys() == ATTRIBUTES.keys()
    assert all(value in ATTRIBUTES[name] for name, value in attributes.items())


def test_sampled_shares() -> None:
    scenes = [scene_of(seed) for seed in range(4000)]
    dressed = sum(scene.wearable is not None for scene in scenes) / len(scenes)
    accompanied = sum(scene.companion is not None for scene in scenes) / len(scenes)
    # Four standard errors of a share of 4000.
    assert dressed == pytest.approx(0.40, abs=0.03)
    assert accompanied == pytest.approx(0.65, abs=0.03)  # as above
    assert {scene.subject.kind for scene in scenes} == set(SUBJECTS)
    assert {scene.subject.colour for scene in scenes} == set(COLOURS)


def test_every_placement_is_drawn_and_lies_on_the_token_grid() -> None:
    sampled = {scene_of(seed).placement for seed in range(2000)}
    assert sampled == set(PLACEMENTS)
    assert len(PLACEMENTS) == 16
    assert all(place.x % 16 == 0 and place.y % 16 == 0 and place.companion_x % 8 == 0 for place in PLACEMENTS)


@pytest.mark.parametrize("kind", slow_but_for(SUBJECTS[:1], SUBJECTS))
def test_nothing_is_cut_by_the_frame(kind: str) -> None:
    """As many pixels are drawn at the placement as in the middle of the picture, 128 units being a whole number."""
    for place in PLACEMENTS:
        for extra in WEARABLES if kind in WEARERS else COMPANIONS:
            thing = Thing(extra, "red")
            wearable, companion = (thing, None) if kind in WEARERS else (None, thing)
            apart = replace(place, companion_x=9999)
            scene = Scene("meadow", Thing(kind, "purple"), wearable, None, apart)
            assert_as_much_drawn(scene, moved(scene, 64))
            if companion is not None:
                beside = Scene("meadow", Thing(kind, "purple"), None, companion, replace(place, x=9999))
                middle = replace(beside, placement=replace(beside.placement, companion_x=64))
                assert_as_much_drawn(beside, middle)


def assert_as_much_drawn(scene: Scene, other: Scene) -> None:
    # A pixel of a thing counts for none where the background happens to have its colour: up to 1 %.
    assert drawn_pixels(scene) == pytest.approx(drawn_pixels(other), rel=0.01)


def moved(scene: Scene, x: int) -> Scene:
    return replace(scene, placement=replace(scene.placement, x=x))


def drawn_pixels(scene: Scene) -> int:
    """Pixels that differ from the bare background."""
    bare = replace(scene, placement=replace(scene.placement, x=9999, companion_x=9999))
    return int(np.any(pixels(scene) != pixels(bare), axis=-1).sum())


def test_every_wearable_and_companion_is_large_in_every_colour() -> None:
    """At the smallest size and in the subject's own colour, a wearable still changes a wide piece of the picture."""
    place = PLACEMENTS[0]
    assert place.scale == min(SCALES)
    for colour in COLOURS:
        for wearer in WEARERS:
            plain = Scene("city", Thing(wearer, colour), None, None, place)
            for kind in WEARABLES:
                changed = np.any(pixels(plain) != pixels(replace(plain, wearable=Thing(kind, colour))), axis=-1)
                assert np.count_nonzero(changed.any(axis=0)) >= 28
                assert changed.sum() >= 150


def test_placement_is_not_in_the_attributes() -> None:
    scene = scene_of(7)
    moved = replace(scene, placement=replace(scene.placement, y=scene.placement.y - 4))
    assert moved.attributes() == scene.attributes()
    assert not np.array_equal(pixels(moved), pixels(scene))


def test_other_sizes_show_the_same_picture() -> None:
    scene = scene_of(3)
    large = np.asarray(render(scene, 256).reduce(2), dtype=float)
    assert np.abs(large - pixels(scene)).mean() < 3


def test_a_car_wears_nothing() -> None:
    with pytest.raises(InputError, match="a car cannot wear a hat; leave the wearable out"):
        Scene("meadow", Thing("car", "red"), Thing("hat", "blue"), None, scene_of(0).placement)


def test_unknown_names_are_refused() -> None:
    scene = scene_of(0)
    with pytest.raises(InputError, match="unknown background 'moon'; choose one of meadow"):
        replace(scene, background="moon")
    with pytest.raises(InputError, match="unknown subject colour 'grey'"):
        replace(scene, subject=Thing("car", "grey"))
    with pytest.raises(InputError, match="not a LittleWorld scene"):
        Scene.from_dict({"background": "meadow"})
