"""Layers whose attention is known: what is measured of them is what was put in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.support.attending import STRENGTH, Attending
from tests.support.closeness import rounding
from tests.support.toy import PATCH, ToyBackbone, toy_picture
from undrift.bench import sites
from undrift.bench.case import Case, Mask, Task
from undrift.bench.sites import TOGETHER, WHOLE, highest, overlap, study, token_mask
from undrift.errors import InputError, ModelError

SIDE = 4


class Drawn(Case):
    """A picture of 4 x 4 tokens; ``masks`` are boxes of tokens, (rows, columns), one a turn; None is unknown."""

    def __init__(self, name: str, boxes: Sequence[tuple[slice, slice] | None], words: str = "a dog") -> None:
        self.id, self.boxes = name, boxes
        self.tasks = tuple(Task("a cat", f"{words} {turn}", "replace") for turn in range(len(boxes)))

    def original(self) -> Image.Image:
        return toy_picture(SIDE * PATCH, SIDE * PATCH)

    def truth(self, turn: int) -> Image.Image:
        return self.original()

    def mask(self, turn: int) -> Mask | None:
        if (box := self.boxes[turn - 1]) is None:
            return None
        cells = np.zeros((SIDE, SIDE), bool)
        cells[box] = True
        return cells.repeat(PATCH, 0).repeat(PATCH, 1)


def seen_by(cases: Sequence[Drawn]) -> dict[str, Tensor]:
    """Where the layers see each prompt: in the true masks."""
    geometry = ToyBackbone().geometry((SIDE * PATCH, SIDE * PATCH))
    turns = ((case, turn) for case in cases for turn in range(1, case.turns + 1))
    masks = ((case.tasks[turn - 1].target_prompt, case.mask(turn)) for case, turn in turns)
    return {prompt: token_mask(mask, geometry) for prompt, mask in masks if mask is not None}


CORNER = (slice(0, 2), slice(0, 2))
ROW = (slice(3, 4), slice(0, 4))


def test_a_layer_that_sees_the_mask_meets_it_and_one_that_sees_nothing_does_not() -> None:
    cases = [Drawn("one", [ROW], "a dog"), Drawn("two", [CORNER], "a hen")]
    found = study(Attending(seen_by(cases)), cases, batch=2)
    rows = {row.name: row for row in found.rows}
    assert list(rows) == ["double.0", "double.1", "cross.0", TOGETHER, WHOLE], "image attention is no site of maps"
    assert (found.turns, found.left_out) == (2, 0)
    inside = math.exp(STRENGTH) / (math.exp(STRENGTH) + 16)
    sighted, blind, coarse = rows["double.0"], rows["double.1"], rows["cross.0"]
    assert sighted.attention.mean == pytest.approx((4 * inside + 12 * (1 / 17)) / 16)
    high, low = (1 / (1 + math.exp(-sign * 5)) for sign in (1, -1))
    assert sighted.activation.mean == pytest.approx((4 * high + 12 * low) / 16, abs=rounding(64))
    assert (sighted.overlap.mean, sighted.overlap_at_size.mean) == (1.0, 1.0)
    assert (coarse.overlap.mean, coarse.overlap_at_size.mean) == (1.0, 1.0)
    assert blind.attention.mean == pytest.approx(1 / 17)
    assert blind.overlap.mean == 0.0
    # The first four tokens stand for the highest of equal ones: none of the last row, two of the corner's six.
    assert blind.overlap_at_size.mean == pytest.approx((0 + 2 / 6) / 2)
    assert (rows[WHOLE].overlap.mean, rows[WHOLE].overlap_at_size.mean) == pytest.approx((4 / 16, 4 / 28))
    assert [row.makes_maps for row in found.rows] == [True, True, False, False, False]


def test_what_cannot_be_looked_at_is_left_out_and_counted() -> None:
    cases = [Drawn("one", [CORNER, None, ROW]), Drawn("same", [CORNER], "a cat")]
    same = replace(cases[1].tasks[0], target_prompt="a cat")
    cases[1].tasks = (same,)
    found = study(Attending(seen_by(cases)), cases, sigmas=[0.5])
    assert (found.turns, found.left_out) == (2, 2)
    assert {row.overlap.turns for row in found.rows} == {2}


def test_batches_change_nothing() -> None:
    cases = [Drawn("one", [CORNER, ROW], "a dog"), Drawn("two", [ROW], "a hen")]
    model = Attending(seen_by(cases))
    assert repr(study(model, cases, batch=1)) == repr(study(model, cases, batch=8))


def test_progress_counts_turns() -> None:
    cases = [Drawn("one", [CORNER, ROW, CORNER])]
    told: list[int] = []
    study(Attending(seen_by(cases)), cases, batch=2, told=told.append)
    assert told == [2, 1]


def test_models_and_suites_without_what_is_needed_say_so() -> None:
    cases = [Drawn("one", [CORNER])]
    with pytest.raises(ModelError, match="toy has no layer in which taps see the picture attend to the prompt"):
        study(ToyBackbone(), cases)
    with pytest.raises(InputError, match="no turn has both a known mask and words that its prompt adds"):
        study(Attending({}), [Drawn("one", [None])])
    for sigmas in ([], [0.0], [0.5, 1.0]):
        with pytest.raises(InputError, match=r"sigmas are .*, expected numbers between 0 and 1"):
            study(ToyBackbone(), cases, sigmas=sigmas)


def test_a_mask_takes_every_token_that_it_touches() -> None:
    geometry = ToyBackbone().geometry((20, 12))  # 3 x 2 tokens, the last ones in part
    mask = np.zeros((12, 20), bool)
    mask[11, 19] = True
    assert token_mask(mask, geometry).tolist() == [False] * 5 + [True]


def test_overlap_and_highest() -> None:
    one, two = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])
    assert float(overlap(one, two)) == pytest.approx(1 / 3)
    assert float(overlap(~one & one, ~two & two)) == 0.0
    assert highest(torch.tensor([1.0, 3.0, 3.0, 0.0]), 2).tolist() == [False, True, True, False]
    assert highest(torch.tensor([[2.0, 2.0], [0.0, 1.0]]), 1).tolist() == [[True, False], [False, True]]


def test_a_layer_on_no_grid_is_refused() -> None:
    geometry = ToyBackbone().geometry((SIDE * PATCH, SIDE * PATCH))
    with pytest.raises(ModelError, match="a layer of 5 tokens fits no grid of 4 x 4"):
        sites._at(torch.ones(16, dtype=torch.bool), geometry, 5)
