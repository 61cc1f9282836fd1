"""Faint change and flaring colours against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tests.bench.metrics.outcomes import numbers, outcome, played, quick, right, scored, single, untouched
from undrift.bench.case import Case
from undrift.bench.metrics.collapse import colourfulness
from undrift.bench.metrics.faint import smoothed
from undrift.bench.metrics.pixels import pixels


def shifted(picture: Image.Image, by: int, columns: slice = slice(None)) -> Image.Image:
    """``picture``, values moved to where nothing is cut off, plus ``by`` in some columns."""
    values = np.asarray(picture).astype(int) // 2 + 60
    values[:, columns] += by
    return Image.fromarray(values.astype(np.uint8))


def test_colourfulness_of_half_red_half_blue_is_what_the_formula_gives_by_hand() -> None:
    picture = Image.new("RGB", (8, 8), (255, 0, 0))
    picture.paste((0, 0, 255), (4, 0, 8, 8))
    # rg is 255 and 0, yb is 127.5 and -255.
    expected = math.hypot(127.5, 191.25) + 0.3 * math.hypot(127.5, 63.75)
    assert colourfulness(pixels(picture)) == pytest.approx(expected)
    assert colourfulness(pixels(picture.convert("L"))) == 0.0


def test_right_and_untouched_pictures_raise_no_alarm() -> None:
    for shown in (right, untouched):
        outcomes = played(shown)
        assert set(numbers("colourfulness-spike", outcomes)) == {0.0}
        assert set(numbers("collapse-alarm", outcomes)) == {0.0}


def test_colours_that_flare_up_raise_the_alarm_in_the_turn_in_which_they_do() -> None:
    case = quick()[0]

    def flaring(number: int, of: Case, turn: int) -> Image.Image:
        truth = right(number, of, turn)
        return ImageEnhance.Color(truth).enhance(3.0) if turn >= 2 else truth

    made = [outcome(case, turn, flaring) for turn in (1, 2)]
    (calm, flare) = numbers("colourfulness-spike", made)
    assert calm == 0.0
    assert flare > 50.0
    assert numbers("collapse-alarm", made) == [0.0, 100.0]


def test_the_first_colour_in_a_grey_picture_is_no_flare() -> None:
    case = quick()[0]
    grey = case.original().convert("L").convert("RGB")
    faint = Image.blend(grey, case.original(), 0.1)
    assert numbers("collapse-alarm", [single(case, 1, faint, grey)]) == [0.0]


@pytest.mark.parametrize(("by", "expected"), [(0, 0.0), (3, 3.0), (7, 7.0), (8, 0.0), (60, 0.0)])
def test_what_is_faint_everywhere_counts_whole_and_what_is_not_does_not_count(by: int, expected: float) -> None:
    """0.03 of 255 is 7.65."""
    case = quick()[0]
    made = single(case, 1, shifted(case.original(), by), shifted(case.original(), 0))
    assert numbers("previous-faint-change-whole", [made]) == pytest.approx([expected])


def test_an_edit_does_not_count_beyond_its_soft_edge() -> None:
    case = quick()[0]
    before = shifted(case.original(), 0)
    made = single(case, 1, shifted(case.original(), 60, slice(0, 64)), before)
    (counted,) = numbers("previous-faint-change-whole", [made])
    # A change of 60 is smoothed below 7.65 beyond 1.14 sigma outside of its edge, where nothing changed.
    assert counted == 0.0
    (faint_beside,) = numbers(
        "previous-faint-change-whole", [single(case, 1, shifted(case.original(), 4, slice(0, 64)), before)]
    )
    assert faint_beside == pytest.approx(2.0)


def test_outside_needs_a_mask_and_looks_only_there() -> None:
    case = quick()[0]
    made = single(case, 1, shifted(case.original(), 5), shifted(case.original(), 0))
    assert scored("previous-faint-change-outside", [made]) == pytest.approx([5.0])


def test_smoothing_keeps_the_sum_of_a_point_and_what_is_flat() -> None:
    point = np.zeros((41, 41))
    point[20, 20] = 1.0
    assert smoothed(point).sum() == pytest.approx(1.0)
    assert smoothed(point)[20, 23] / smoothed(point)[20, 20] == pytest.approx(math.exp(-0.5))
    assert smoothed(np.full((9, 5), 7.0)) == pytest.approx(7.0)
