"""Patterns, poses, styles and the wider placements; `test_scenes` holds what was there before them."""

from __future__ import annotations

import hashlib
import itertools
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
from undrift.littleworld.drawing import DARK
from undrift.littleworld.render import render
from undrift.littleworld.scenes import (
    ATTRIBUTES,
    BACKGROUNDS,
    COLOURS,
    COMPANIONS,
    PATTERNS,
    PLACEMENTS,
    POSES,
    RICH_PLACEMENTS,
    RICH_SCALES,
    STYLES,
    SUBJECTS,
    WEARABLES,
    WEARERS,
    Placement,
    Scene,
    Thing,
    sample_rich_scene,
    sample_scene,
)

SMALL = PLACEMENTS[0]
seeds = st.integers(0, 2**32)


def rich(seed: int) -> Scene:
    return sample_rich_scene(random.Random(seed))


def only(kind: str, colour: str = "purple", place: Placement = SMALL, background: str = "meadow") -> Scene:
    return Scene(background, Thing(kind, colour), None, None, place)


def pixels(scene: Scene, size: int = 128) -> NDArray[np.int16]:
    return np.asarray(render(scene, size)).astype(np.int16)


def changed(before: Scene, after: Scene) -> NDArray[np.bool_]:
    different: NDArray[np.bool_] = np.any(pixels(before) != pixels(after), axis=-1)
    return different


def drawn(scene: Scene) -> NDArray[np.bool_]:
    """Where the picture differs from the bare background."""
    return changed(scene, replace(scene, placement=replace(scene.placement, x=9999, companion_x=9999)))


def test_the_rich_world_does_not_change() -> None:
    """The embedded model was trained on exactly these pictures; a changed digest means training it anew."""
    digest = hashlib.sha256()
    for seed in range(300):
        digest.update(render(rich(seed)).tobytes())
        digest.update(render(sample_rich_scene(random.Random(seed), RICH_PLACEMENTS)).tobytes())
    assert digest.hexdigest() == "59b43b469987e13b9faa3677c6d59ea97b4c5276038b89b454aa4004391bc8c7"


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_json_round_trip_and_listed_values(seed: int) -> None:
    scene = rich(seed)
    assert Scene.from_dict(json.loads(json.dumps(scene.to_dict()))) == scene
    attributes = scene.attributes()
    assert attributes.keys() == ATTRIBUTES.keys()
    assert all(value in ATTRIBUTES[name] for name, value in attributes.items())


def test_what_is_usual_is_left_out_of_json_and_read_as_usual() -> None:
    scene = sample_scene(random.Random(3))
    assert scene.to_dict().keys() == {"background", "subject", "wearable", "companion", "placement"}
    assert Scene.from_dict(scene.to_dict()) == scene
    striped = replace(scene, pattern="striped")
    assert striped.to_dict() == {**scene.to_dict(), "pattern": "striped"}


def test_sampled_shares() -> None:
    scenes = [rich(seed) for seed in range(4000)]
    plain = [scene for scene in scenes if scene == replace(scene, pattern="plain", pose="standing", style="plain")]
    # Half are left plain, and of the rest 0.4 x 0.6 x (1/3 + 2/3 x 0.3); four standard errors of a share of 4000.
    assert len(plain) / len(scenes) == pytest.approx(0.5 + 0.5 * 0.4 * 0.6 * (1 / 3 + 2 / 3 * 0.3), abs=0.032)
    for name, values in ATTRIBUTES.items():
        assert {scene.attributes()[name] for scene in scenes} == set(values)
    assert {scene.placement for scene in scenes} == set(PLACEMENTS)
    wide = {sample_rich_scene(random.Random(seed), RICH_PLACEMENTS).placement for seed in range(4000)}
    assert wide == set(RICH_PLACEMENTS)


def test_the_old_placements_come_first_among_the_many() -> None:
    assert RICH_PLACEMENTS[: len(PLACEMENTS)] == PLACEMENTS
    assert len(set(RICH_PLACEMENTS)) == len(RICH_PLACEMENTS) == 96
    assert all(
        place.x % 8 == 0 and place.companion_x % 8 == 0 and place.companion_y % 8 == 0 for place in RICH_PLACEMENTS
    )


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("kind", slow_but_for(sorted(WEARERS)[:1], WEARERS))
def test_nobody_is_cut_by_the_frame_in_any_pose(kind: str, pose: str) -> None:
    """As many pixels are drawn at the outermost places as in the middle, but for 1 % of rounding."""
    for facing, wearable in itertools.product(("left", "right"), WEARABLES):
        for x in (32, 96):
            place = replace(SMALL, x=x, scale=max(RICH_SCALES), facing=facing)
            scene = Scene("beach", Thing(kind, "purple"), Thing(wearable, "red"), None, place, pose=pose)
            middle = replace(scene, placement=replace(place, x=64))
            # Edges fall on other fractions of a pixel there.
            assert drawn(scene).sum() == pytest.approx(drawn(middle).sum(), rel=0.01)
            assert not drawn(scene)[0].any()


@pytest.mark.parametrize("kind", slow_but_for(SUBJECTS[:3], SUBJECTS))
def test_no_companion_is_hidden_behind_the_subject(kind: str) -> None:
    for place, companion in itertools.product(RICH_PLACEMENTS, COMPANIONS):
        if place.scale == max(RICH_SCALES) and place.x in (56, 72):
            beside = Scene("beach", Thing(kind, "purple"), None, Thing(companion, "red"), place)
            alone = replace(beside, companion=None)
            free = replace(beside, placement=replace(place, x=9999))
            # The widest of both touch when they stand closest.
            assert changed(alone, beside).sum() >= 0.97 * drawn(free).sum()


@pytest.mark.parametrize("pattern", PATTERNS[1:])
@pytest.mark.parametrize("kind", slow_but_for(SUBJECTS[:3], SUBJECTS))
def test_patterns_are_bold_on_every_subject_in_every_colour(kind: str, pattern: str) -> None:
    """At the smallest size it changes a good part of the subject, strongly, and nothing outside it."""
    for colour, background in zip(COLOURS, itertools.cycle(BACKGROUNDS)):
        plain = only(kind, colour, background=background)
        patterned = replace(plain, pattern=pattern)
        subject, strokes = drawn(plain), changed(plain, patterned)
        assert not np.any(strokes & ~subject)
        assert strokes.sum() >= 0.1 * subject.sum()
        contrast = np.abs(pixels(plain) - pixels(patterned)).max(axis=-1)
        assert np.count_nonzero(contrast > 60) >= 0.06 * subject.sum()


@pytest.mark.parametrize("kind", SUBJECTS)
def test_patterns_differ_from_each_other(kind: str) -> None:
    for first, second in itertools.combinations(PATTERNS, 2):
        one, other = (replace(only(kind), pattern=pattern) for pattern in (first, second))
        assert changed(one, other).sum() >= 0.08 * drawn(only(kind)).sum()


@pytest.mark.parametrize("pattern", PATTERNS[1:])
@pytest.mark.parametrize("kind", ["cat", "dog", "bird"])
def test_eyes_look_out_of_a_pattern(kind: str, pattern: str) -> None:
    """Every dark pixel of the plain picture, the eyes among them, has the same neighbours in the patterned one."""
    plain = only(kind, "yellow")
    dark = np.all(np.abs(pixels(plain) - np.array(DARK)) < 8, axis=-1)
    near = dark | np.roll(dark, 1, 0) | np.roll(dark, -1, 0) | np.roll(dark, 1, 1) | np.roll(dark, -1, 1)
    eyes = near & (np.arange(128) < 112 - 0.85 * 42)[:, None]
    assert eyes.any()
    assert not np.any(changed(plain, replace(plain, pattern=pattern)) & eyes)


@pytest.mark.parametrize("kind", WEARERS)
def test_poses_are_clearly_different(kind: str) -> None:
    for first, second in itertools.combinations(POSES, 2):
        for colour, background in zip(COLOURS, itertools.cycle(BACKGROUNDS)):
            one, other = (replace(only(kind, colour, background=background), pose=pose) for pose in (first, second))
            assert changed(one, other).sum() >= 0.12 * drawn(one).sum()


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("kind", WEARERS)
def test_a_hat_is_the_topmost_in_every_pose(kind: str, pose: str) -> None:
    bare = replace(only(kind), pose=pose)
    hat = changed(bare, replace(bare, wearable=Thing("hat", "red")))
    rows = np.nonzero(drawn(bare).any(axis=1))[0]
    worn = np.nonzero(hat.any(axis=1))[0]
    assert worn.min() < rows.min()
    assert worn.max() < rows.min() + 24  # brim at the top of the head, below ears or an antenna of 12 units


def test_who_jumps_is_above_a_shadow() -> None:
    for kind in WEARERS:
        standing = only(kind, background="desert")
        jumping = replace(standing, pose="jumping")
        assert np.nonzero(drawn(jumping).any(axis=1))[0].min() < np.nonzero(drawn(standing).any(axis=1))[0].min() - 8
        assert drawn(jumping)[112, SMALL.x - 12 : SMALL.x + 12].all()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_colours_are_told_apart_in_every_style(style: str, background: str) -> None:
    """The mean colours of equal balls differ by more than 20 of 255 in some channel, far more than an eye needs."""
    ball = drawn(only("ball", background=background))
    means = {
        colour: pixels(replace(only("ball", colour, background=background), style=style))[ball].mean(axis=0)
        for colour in COLOURS
    }
    for first, second in itertools.combinations(COLOURS, 2):
        assert np.abs(means[first] - means[second]).max() > 20, (first, second)


def test_a_style_is_of_the_whole_picture() -> None:
    for seed in range(20):
        scene = replace(rich(seed), style="plain")
        for style in STYLES[1:]:
            assert changed(scene, replace(scene, style=style)).mean() > 0.9


def test_neon_is_dark_and_pencil_is_light() -> None:
    for seed in range(20):
        means = {style: pixels(replace(rich(seed), style=style)).mean() for style in STYLES}
        assert means["neon"] < means["plain"] - 5 < means["pencil"] - 5


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_large_pictures_show_the_same(seed: int) -> None:
    scene = rich(seed)
    large = np.asarray(render(scene, 256).reduce(2), dtype=float)
    # A style's lines are a whole number of pixels wide in each, and are the only difference.
    assert np.abs(large - pixels(scene)).mean() < (3 if scene.style == "plain" else 16)


def test_a_car_takes_no_pose_and_unknown_names_are_refused() -> None:
    scene = only("car")
    with pytest.raises(
        InputError, match="a car cannot be sitting; leave the pose at standing or choose a subject of"
    ):
        replace(scene, pose="sitting")
    with pytest.raises(InputError, match="unknown pattern 'wavy'; choose one of plain, striped"):
        replace(scene, pattern="wavy")
    with pytest.raises(InputError, match="unknown style 'oil'; choose one of plain, pencil, neon"):
        Scene.from_dict({**scene.to_dict(), "style": "oil"})
