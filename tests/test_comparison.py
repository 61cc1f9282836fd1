"""Decibels of errors that are known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from undrift.comparison import IDENTICAL, bounded_psnr, psnr

ZEROS = np.zeros((4, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize(("error", "level"), [(255, 0.0), (51, 20 * math.log10(5)), (1, 20 * math.log10(255))])
def test_the_same_error_everywhere(error: int, level: float) -> None:
    other = ZEROS + np.uint8(error)
    for one, two in ((ZEROS, other), (other, ZEROS), (ZEROS.astype(float), other.astype(np.int16))):
        assert psnr(one, two) == pytest.approx(level), "whatever the type of number, unsigned ones included"


def test_half_the_pixels_wrong_is_three_decibels_better() -> None:
    half = ZEROS.copy()
    half[:2] = 51
    assert psnr(half, ZEROS) - psnr(ZEROS + np.uint8(51), ZEROS) == pytest.approx(10 * math.log10(2))


@pytest.mark.parametrize("equal", [ZEROS, ZEROS[:0]])
def test_nothing_different_is_beyond_all_numbers_but_bounded_in_tables(equal: NDArray[np.uint8]) -> None:
    assert psnr(equal, equal) == math.inf
    assert bounded_psnr(equal, equal) == IDENTICAL == 99.0
    nearly = ZEROS.astype(float) + 1e-6
    assert bounded_psnr(nearly, ZEROS) == IDENTICAL < psnr(nearly, ZEROS)
