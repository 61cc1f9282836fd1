"""Clips: what moves moves by a step a frame and comes back, and the edit is the only other difference."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from undrift.errors import InputError
from undrift.littleworld.clips import FURTHEST, MOVERS, STEP, Clip, sample_clip
from undrift.littleworld.edits import edit_between


@pytest.mark.parametrize("mover", MOVERS)
def test_frames_move_by_a_step_and_return(mover: str) -> None:
    for seed in range(20):
        clip = sample_clip(random.Random(seed), 8, mover)
        places = [scene.placement for scene in clip.before]
        xs = [place.companion_x if mover == "companion" else place.x for place in places]
        assert [abs(b - a) for a, b in zip(xs[:-1], xs[1:], strict=True)] == [STEP] * 7
        assert clip.frames()[0].tobytes() == clip.frames()[2 * FURTHEST].tobytes()
        assert all(abs(x - 64) <= abs(xs[0] - 64) for x in xs), "towards the middle, and no further than it was"
        still = [replace(place, companion_x=0) if mover == "companion" else replace(place, x=0) for place in places]
        assert len(set(still)) == 1


@pytest.mark.parametrize("mover", MOVERS)
def test_every_frame_is_edited_alike_and_the_mover_is_there(mover: str) -> None:
    for seed in range(20):
        clip = sample_clip(random.Random(seed), 3, mover)
        edits = {edit_between(one, other) for one, other in zip(clip.before, clip.after, strict=True)}
        assert len(edits) == 1
        first, second, _ = (np.asarray(picture, int) for picture in clip.truths())
        assert (first != second).any(), "something moves in the edited clip as well"


def test_one_state_gives_one_clip() -> None:
    assert sample_clip(random.Random(5)) == sample_clip(random.Random(5))
    assert sample_clip(random.Random(5)) != sample_clip(random.Random(6))


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match=r"a clip of 0 frames with mover 'companion': expected 1 or more"):
        sample_clip(random.Random(0), 0)
    with pytest.raises(InputError, match="mover 'camera'"):
        sample_clip(random.Random(0), 2, "camera")
    with pytest.raises(InputError, match="a clip has 0 frames and 0 right ones"):
        Clip((), ())
