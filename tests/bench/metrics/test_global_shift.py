"""Global shift on pictures that were moved by known amounts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.bench.metrics.outcomes import PhotoCase, noise, numbers, quick, scored, single
from undrift.bench.case import Mask
from undrift.bench.metrics.global_shift import measured_shift
from undrift.bench.metrics.pixels import pixels

NAMES = ("original-shift-whole", "previous-shift-whole", "original-shift-outside", "previous-shift-outside")


def moved(picture: Image.Image, right: float, down: float) -> Image.Image:
    """Exactly shifted as a periodic signal, by a factor in the Fourier domain."""
    values = pixels(picture)
    rows, columns = (np.fft.fftfreq(length) for length in values.shape[:2])
    factor = np.exp(-2j * np.pi * (down * rows[:, None] + right * columns[None]))
    back = np.fft.ifft2(np.fft.fft2(values, axes=(0, 1)) * factor[..., None], axes=(0, 1)).real
    return Image.fromarray(back.round().clip(0, 255).astype(np.uint8))


@pytest.fixture
def photo() -> Image.Image:
    return noise(5).filter(ImageFilter.GaussianBlur(2)).point(lambda value: min(255, max(0, 4 * value - 384)))


@pytest.mark.parametrize(("right", "down"), [(0.0, 0.0), (3.0, -2.0), (0.5, 0.25), (-1.3, 2.7), (8.0, -8.0)])
def test_a_known_shift_is_found_to_a_tenth_of_a_pixel(photo: Image.Image, right: float, down: float) -> None:
    found = measured_shift(pixels(moved(photo, right, down)), pixels(photo))
    assert found[:2] == pytest.approx((right, down), abs=0.1)  # what its title promises
    turn = single(PhotoCase(photo, corner()), 1, moved(photo, right, down), photo)
    for name in NAMES:
        assert numbers(name, [turn]) == [pytest.approx(math.hypot(right, down), abs=0.15)]  # 0.1 in each direction


@pytest.mark.parametrize("right", [0.0, 1.0, 2.6])
def test_an_edit_inside_the_mask_moves_nothing(right: float) -> None:
    """A drawn sequence with a subject that changes: the background is what moves or stays."""
    case = next(c for c in quick() if any(task.edit_type == "object" for task in c.tasks))
    turn = next(k for k, task in enumerate(case.tasks, start=1) if task.edit_type == "object")
    outcome = single(case, turn, moved(case.truth(turn), right, 0.0), case.truth(turn - 1))
    # A drawn background has fewer edges to hold on to than a photo.
    assert numbers("previous-shift-outside", [outcome]) == [pytest.approx(right, abs=0.3)]


def test_pictures_without_anything_in_common_have_no_shift() -> None:
    turn = single(PhotoCase(noise(1), corner()), 1, noise(2), noise(3))
    assert [scored(name, [turn])[0] for name in NAMES] == [None] * 4


def test_flat_pictures_and_unknown_masks_have_none(photo: Image.Image) -> None:
    flat = Image.new("RGB", (128, 128), "red")
    assert scored("original-shift-whole", [single(PhotoCase(flat), 1, flat, flat)]) == [None]
    assert scored("original-shift-outside", [single(PhotoCase(photo), 1, photo, photo)]) == [None]


def corner() -> Mask:
    mask = np.zeros((128, 128), dtype=bool)
    mask[:40, :40] = True
    return mask
