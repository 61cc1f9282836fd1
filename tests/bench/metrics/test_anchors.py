"""PSNR, colour shift and perceptual distance against truth, original and the turn before, on known differences."""

from __future__ import annotations

import math

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
from undrift.bench.case import Mask
from undrift.bench.metrics.colour_shift import lab
from undrift.bench.metrics.registry import all_metrics
from undrift.errors import InputError

OUTSIDE_TURN = ("previous-psnr-outside", "previous-colour-shift-outside")
OUTSIDE_ORIGINAL = ("original-psnr-outside", "original-colour-shift-outside")
PSNR_99 = ("original-psnr-whole", "previous-psnr-whole")
IN_10 = 20 * math.log10(255 / 10)


def half() -> Mask:
    """The left half."""
    mask = np.zeros((128, 128), dtype=bool)
    mask[:, :64] = True
    return mask


def brighter(picture: Image.Image, by: int, where: Mask) -> Image.Image:
    values = np.asarray(picture).astype(int) + by * where[..., None]
    assert values.min() >= 0
    assert values.max() <= 255
    return Image.fromarray(values.astype(np.uint8))


@pytest.fixture
def grey() -> Image.Image:
    return Image.fromarray((np.asarray(noise(3)) // 2 + 40).astype(np.uint8))


def test_a_known_error_has_a_known_psnr(grey: Image.Image) -> None:
    everywhere = np.ones((128, 128), dtype=bool)
    case = PhotoCase(grey, half())
    turn = single(case, 1, brighter(grey, 10, everywhere), grey)
    for name in ("original-psnr-outside", "previous-psnr-outside", *PSNR_99):
        assert numbers(name, [turn]) == [pytest.approx(IN_10)]


def test_inside_the_mask_anything_may_happen(grey: Image.Image) -> None:
    turn = single(PhotoCase(grey, half()), 1, brighter(grey, 60, half()), grey)
    assert [numbers(name, [turn])[0] for name in (*OUTSIDE_TURN, *OUTSIDE_ORIGINAL)] == [99.0, 0.0, 99.0, 0.0]
    assert numbers("original-psnr-whole", [turn]) == [pytest.approx(20 * math.log10(255 / 60) + 10 * math.log10(2))]


def test_the_anchors_are_the_original_and_the_turn_before(grey: Image.Image) -> None:
    outside = ~half()
    before, after = brighter(grey, 10, outside), brighter(grey, 30, outside)
    turn = single(PhotoCase(grey, half()), 2, after, before)
    assert numbers("original-psnr-outside", [turn]) == [pytest.approx(20 * math.log10(255 / 30))]
    assert numbers("previous-psnr-outside", [turn]) == [pytest.approx(20 * math.log10(255 / 20))]


@pytest.mark.parametrize("name", [*OUTSIDE_TURN, *OUTSIDE_ORIGINAL])
def test_without_a_mask_or_an_outside_there_is_no_number(name: str, grey: Image.Image) -> None:
    nearly_all = np.ones((128, 128), dtype=bool)
    nearly_all[:12, :13] = False  # 156 of 16384 pixels
    cases = PhotoCase(grey), PhotoCase(grey, nearly_all), PhotoCase(grey, half())
    assert [v is None for v in scored(name, [single(c, 1, grey, grey) for c in cases])] == [True, True, False]


def test_pictures_of_two_sizes_are_refused(grey: Image.Image) -> None:
    with pytest.raises(
        InputError, match="64x64 and 128x128 pixels cannot be compared; give pictures of the original's"
    ):
        numbers("original-psnr-whole", [single(PhotoCase(grey), 1, noise(0, (64, 64)), grey)])


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (53.2408, 80.0925, 67.2032)),
        ((0, 0, 255), (32.2970, 79.1875, -107.8602)),
        ((119, 119, 119), (50.0344, 0.0, 0.0)),
    ],
)
def test_lab_of_known_colours(colour: tuple[int, int, int], expected: tuple[float, float, float]) -> None:
    """Values of Bruce Lindbloom's calculator (D65, no adaptation)."""
    # The calculator's matrix ends in other decimals than the standard's.
    assert lab(np.array([colour], dtype=np.float64))[0] == pytest.approx(expected, abs=0.01)


def test_colour_shift_is_the_distance_of_the_mean_colours() -> None:
    flat = [Image.new("RGB", (128, 128), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    expected = math.dist((53.2408, 80.0925, 67.2032), (32.2970, 79.1875, -107.8602))
    turn = single(PhotoCase(flat[0]), 1, flat[1], flat[0])
    for name in ("original-colour-shift-whole", "previous-colour-shift-whole"):
        assert numbers(name, [turn]) == [pytest.approx(expected, abs=0.02)]  # twice that of a colour


def test_details_that_move_are_no_colour_shift() -> None:
    moved = Image.fromarray(np.roll(np.asarray(noise(1)), 20, axis=1))
    assert numbers("original-colour-shift-whole", [single(PhotoCase(noise(1)), 1, moved, noise(1))]) == [
        pytest.approx(0.0, abs=1e-9)  # a mean of 16384 numbers, added up in another order
    ]


@pytest.mark.slow
def test_the_truth_is_no_distance_from_itself_and_a_shuffled_picture_far() -> None:
    for name, perfect in (("truth-psnr-outside", 99.0), ("truth-perceptual-littleworld-outside", 0.0)):
        assert numbers(name, played(right)) == [perfect] * 32
    assert max(numbers("truth-psnr-outside", played(shuffled))) < 25
    assert min(numbers("truth-perceptual-littleworld-outside", played(shuffled))) > 0.02


def test_the_distance_to_the_truth_holds_what_earlier_turns_left_undone() -> None:
    first, later = (outcome(quick()[0], turn, untouched) for turn in (1, 4))
    for name, perfect in (("truth-psnr-outside", 99.0), ("truth-perceptual-littleworld-outside", 0.0)):
        assert numbers(name, [first]) == [perfect]
        assert numbers(name, [later]) != [perfect]


@pytest.mark.parametrize(
    "name",
    [n for n, m in all_metrics().items() if m.group == "drift" and "littleworld" not in n and not m.missing()],
)
def test_identical_pictures_score_perfectly(name: str, grey: Image.Image) -> None:
    perfect = 99.0 if "psnr" in name else 0.0
    assert numbers(name, [single(PhotoCase(grey, half()), 2, grey, grey)]) == [perfect]
