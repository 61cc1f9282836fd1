"""What hangs together, against a flood that is filled pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from undrift.session.drift import Mask
from undrift.session.pieces import pieces, without_holes


def flooded(mask: Mask, seed: tuple[int, int]) -> Mask:
    found, waiting = np.zeros_like(mask), [seed]
    while waiting:
        row, column = waiting.pop()
        inside = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
        if not inside or found[row, column] or not mask[row, column]:
            continue
        found[row, column] = True
        waiting += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
    return found


@pytest.mark.parametrize("share", [0.3, 0.55, 0.6, 0.9])
def test_every_piece_is_the_flood_from_each_of_its_pixels(share: float) -> None:
    mask = np.random.default_rng(round(100 * share)).random((13, 29)) < share
    numbers = pieces(mask)
    assert (numbers > 0).tolist() == mask.tolist()
    for seed in map(tuple, np.argwhere(mask)):
        assert ((numbers == numbers[seed]) == flooded(mask, seed)).all()


def test_a_spiral_is_one_piece() -> None:
    mask = np.ones((21, 21), dtype=bool)
    for wall in range(1, 10, 2):
        mask[wall, wall:-wall] = mask[-wall - 1, wall:-wall] = False
        mask[wall:-wall, wall] = mask[wall:-wall, -wall - 1] = False
        mask[wall + 1, wall] = True
    assert (pieces(mask)[mask] == pieces(mask)[0, 0]).all()


def test_small_holes_are_filled_and_large_ones_and_bays_are_not() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[2:18, 2:18] = True
    mask[4:6, 4:6] = False  # a hole of 4
    mask[10:15, 10:15] = False  # one of 25
    wanted = mask.copy()
    wanted[4:6, 4:6] = True
    assert (without_holes(mask, 5 / mask.sum()) == wanted).all()
    mask[0:5, 4] = False  # now it is a bay
    assert (without_holes(mask, 5 / mask.sum()) == mask).all()
