"""Editing clips, with an editor that flickers: what stands still must not, and nothing may stay where it left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.support.toy import ToyBackbone, ToyMethod, ToyParams
from undrift.backbones.base import Backbone
from undrift.backbones.memory import VelocityMemory
from undrift.errors import InputError
from undrift.flow import Observer
from undrift.methods.base import EditRequest, EditResult
from undrift.methods.registry import get
from undrift.session.clips import ClipPlan, EditedFrame, edited_clip, single_frames

SIDE, PATCH = 64, 8
RED, BLUE, GREY = (200, 30, 30), (20, 20, 220), (120, 120, 120)
PLAN = ClipPlan("a red ball", "a green ball with a hat")
EVERYWHERE = ClipPlan("a red ball in a meadow", "a red ball on a beach")


class Painter(ToyMethod):
    """Paints red things green with a hat of 8 rows above them, or all that is grey; each time in another shade.

    A careless one also repaints blue things from the second frame on. The requests that it got are kept.
    """

    takes_references = True

    def __init__(self, everywhere: bool = False, careless: bool = False) -> None:
        super().__init__(ToyParams(masked=False))
        self.everywhere, self.careless, self.preset = everywhere, careless, "default"
        self.asked: list[EditRequest] = []

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        self.asked.append(request)
        pixels = np.array(request.previous_images[0])
        shade = 10 * len(self.asked)
        if self.everywhere:
            pixels[(pixels == GREY).all(-1)] = (40, 60, 200 - shade)
        else:
            red = (pixels == RED).all(-1)
            hat = np.zeros_like(red)
            hat[:-8] = red[8:]
            pixels[hat & ~red] = (230, 230, 200 - shade)
            pixels[red] = (30, 200 - shade, 30)
            if self.careless and len(self.asked) > 1:
                pixels[(pixels == BLUE).all(-1)] = (200, 200, 0)
        image = Image.fromarray(pixels)
        return EditResult(backbone.encode([image]), images=(image,))


def frame(
    *balls: tuple[int, int], size: int = 16, ground: int = 120, blue: tuple[int, int] = (56, 56)
) -> Image.Image:
    """Red squares at (x, y) and a blue one that nobody is asked to edit."""
    pixels = np.full((SIDE, SIDE, 3), ground, np.uint8)
    for x, y in balls:
        pixels[y : y + size, x : x + size] = RED
    pixels[blue[1] : blue[1] + 8, blue[0] : blue[0] + 8] = BLUE
    return Image.fromarray(pixels)


def edited(frames: Sequence[Image.Image], painter: Painter, plan: ClipPlan = PLAN) -> list[EditedFrame]:
    return list(edited_clip(ToyBackbone(), painter, frames, plan))


def pixels(made: EditedFrame) -> NDArray[np.uint8]:
    return np.asarray(made.picture)


def test_a_clip_that_stands_still_is_edited_once() -> None:
    painter = Painter()
    made = edited([frame((8, 24))] * 5, painter)
    assert len(painter.asked) == 1
    assert {each.picture.tobytes() for each in made} == {made[0].picture.tobytes()}
    assert [each.made for each in made] == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_what_stands_still_does_not_flicker_and_what_moves_is_made_anew() -> None:
    painter = Painter()
    first, second = edited([frame((8, 8), (40, 8)), frame((8, 8), (40, 30))], painter)
    assert (pixels(second)[:32, :28] == pixels(first)[:32, :28]).all(), "bit for bit, although the editor flickers"
    assert pixels(second)[38, 48].tolist() == [30, 180, 30], "the ball that moved, as the second edit paints it"
    assert 0.0 < second.made < 0.6


def test_nothing_stays_where_it_was_of_what_has_moved() -> None:
    """The hat stands on ground that no frame changes; it must leave with the ball below it."""
    _, second = edited([frame((8, 24)), frame((36, 24))], Painter())
    assert (pixels(second)[8:44, 6:26] == GREY).all()
    assert pixels(second)[20, 40].tolist() == [230, 230, 180]


def test_what_merely_moves_is_not_edited() -> None:
    careless = Painter(careless=True)
    _, second = edited([frame((8, 8)), frame((8, 8), blue=(56, 40))], careless)
    assert pixels(second)[44, 60].tolist() == list(BLUE)
    assert pixels(second)[60, 60].tolist() == list(GREY)
    assert pixels(second)[12, 12].tolist() == [30, 190, 30]


def test_a_thing_that_goes_further_than_its_size_is_edited_all_the_same() -> None:
    _, second = edited([frame((0, 8), size=8), frame((40, 40), size=8)], Painter())
    assert pixels(second)[44, 44].tolist() == [30, 180, 30]
    assert pixels(second)[12, 4].tolist() == list(GREY)


def test_what_comes_back_is_the_edited_first_frame() -> None:
    away = frame((8, 24), size=8)
    first, _, third = edited([frame((8, 24)), away, frame((8, 24))], Painter())
    assert third.picture.tobytes() == first.picture.tobytes()


def test_a_slow_fade_is_noticed() -> None:
    """Every frame is within a camera's noise of the one before; the last is far from what the first edit saw."""
    frames = [frame((8, 24), ground=120 + 4 * step) for step in range(12)]
    last = edited(frames, Painter())[-1]
    assert abs(int(pixels(last)[50, 10, 0]) - 164) <= 20


def test_where_the_words_speak_of_everything_still_pixels_are_kept_beside_what_moves() -> None:
    painter = Painter(everywhere=True)
    first, second = edited([frame((8, 24)), frame((36, 24))], painter, EVERYWHERE)
    assert (pixels(second)[:, 60:] == pixels(first)[:, 60:]).all()
    assert pixels(second)[32, 12].tolist() == [40, 60, 180], "uncovered ground, as the second edit paints it"
    seam = pixels(second)[:, :, 0]
    assert set(np.unique(seam)) <= {20, 40, *range(40, 201)}
    assert not (pixels(second) == GREY).all(-1).any(), "no seam shows the unedited frame"


def test_anchors_pull_where_nothing_moves_alone() -> None:
    painter = Painter()
    edited([frame((0, 0), (40, 32)), frame((0, 0), (40, 24))], painter)
    alone, second = painter.asked
    assert not alone.references
    (anchor,) = second.references
    weight = anchor.weight.reshape(SIDE // PATCH, SIDE // PATCH)
    assert float(weight[0, 0]) == pytest.approx(PLAN.pull)
    assert not weight[3:6, 5:7].any(), "neither the ball that moves nor what it uncovers"
    assert set(weight.flatten().tolist()) == {0.0, torch.tensor(PLAN.pull).item()}


def test_a_method_without_references_or_a_pull_of_nothing_is_not_pulled() -> None:
    painter = Painter()
    edited([frame((8, 8)), frame((12, 8))], painter, replace(PLAN, pull=0.0))
    painter.takes_references = False  # type: ignore[misc]
    edited([frame((8, 8)), frame((12, 8))], painter)
    assert not any(request.references for request in painter.asked)


def test_single_frames_are_edited_each_by_itself() -> None:
    painter = Painter()
    made = list(single_frames(ToyBackbone(), painter, [frame((8, 24))] * 3, PLAN))
    assert len(painter.asked) == 3
    assert [each.made for each in made] == [1.0] * 3
    assert len({each.picture.tobytes() for each in made}) == 3, "this editor flickers"


@pytest.mark.parametrize(
    ("frames", "plan", "message"),
    [
        ([], PLAN, "a clip without frames: give at least one picture"),
        ([frame(), Image.new("RGB", (8, 4))], PLAN, "frame 2 is 8x4, expected the first one's 64x64 pixels"),
        ([frame()], ClipPlan("a cat", "a cat"), "the edit says what the frames show already"),
        ([frame()], replace(PLAN, pull=1.5), "the pull of the anchors is 1.5, expected 0 to 1"),
    ],
)
def test_what_is_refused(frames: list[Image.Image], plan: ClipPlan, message: str) -> None:
    with pytest.raises(InputError, match=message):
        edited(frames, Painter(), plan)


def test_a_clip_that_is_edited_otherwise_finds_what_its_source_was_asked() -> None:
    frames = [frame((16, 16)), frame((24, 16)), frame((32, 24))]
    method, model = get("flowedit", overrides={"steps": 4, "n_max": 3}), ToyBackbone()
    other = replace(PLAN, target_prompt="a blue ball")
    expected = list(edited_clip(ToyBackbone(), method, frames, other))
    with model.remembering(VelocityMemory()):
        first = list(edited_clip(model, method, frames, PLAN))
        again = list(edited_clip(model, method, frames, other))
    assert [one.remembered for one in first] == [0, 0, 0]
    assert [(one.evaluations, one.remembered) for one in again] == [(6, 3), (6, 3), (6, 3)]
    assert [one.picture.tobytes() for one in again] == [one.picture.tobytes() for one in expected]
