"""What counts as a change, and that everything else comes back bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from undrift.methods.changes import Thresholds, changed_cells, composed, tokens_of

CELL = 4
THRESHOLDS = Thresholds(weak=0.05, strong=0.3, grow=1)


def flat(value: int = 100, size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.new("RGB", size, (value, value, value))


def with_square(picture: Image.Image, value: int, box: tuple[int, int, int, int]) -> Image.Image:
    changed = picture.copy()
    changed.paste((value, value, value), box)
    return changed


def test_equal_pictures_have_no_change_and_come_back_bit_for_bit() -> None:
    picture = flat()
    cells = changed_cells(picture, picture, CELL, THRESHOLDS)
    assert cells.shape == (12, 16)
    assert not cells.any()
    assert composed(picture, flat(7), cells, CELL).tobytes() == picture.tobytes()


def test_a_faint_change_counts_only_where_it_touches_a_strong_one() -> None:
    faint = flat(100 + 20)
    assert not changed_cells(flat(), faint, CELL, THRESHOLDS).any()
    both = with_square(faint, 250, (16, 16, 32, 32))
    assert changed_cells(flat(), both, CELL, THRESHOLDS).all()
    apart = with_square(with_square(flat(), 120, (48, 0, 64, 16)), 250, (0, 32, 16, 48))
    found = changed_cells(flat(), apart, CELL, THRESHOLDS)
    assert found[9:, :3].all()
    assert not found[:5, 10:].any()


def test_a_changed_square_is_found_with_a_margin_and_nothing_beyond_it() -> None:
    found = changed_cells(flat(), with_square(flat(), 255, (24, 16, 40, 32)), CELL, THRESHOLDS)
    rows, columns = np.nonzero(found.numpy())
    # One cell of the mean's neighbourhood, one of growth and one of the seam around the cells 4 to 7 and 6 to 9.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 10, 3, 12)


@pytest.mark.parametrize(("centre", "radius"), [((30.3, 22.8), 9.4), ((24.0, 20.5), 12.7), ((33.9, 25.1), 7.2)])
def test_nothing_is_left_of_the_rim_of_a_thing_that_is_gone(centre: tuple[float, float], radius: float) -> None:
    snow, finer = (200, 215, 235), 8
    large = Image.new("RGB", (64 * finer, 48 * finer), snow)
    box = [finer * (at + way * radius) for way in (-1, 1) for at in centre]
    ImageDraw.Draw(large).ellipse(box, fill=(255, 130, 190))
    before, after = large.resize((64, 48), Image.Resampling.BOX), Image.new("RGB", (64, 48), snow)
    for cell in (2, CELL):
        cells = changed_cells(before, after, cell, Thresholds(weak=0.1, strong=0.2, grow=1))
        assert not cells.all()
        assert composed(before, after, cells, cell).tobytes() == after.tobytes()


def test_outside_of_the_changed_cells_every_byte_is_the_old_one_and_inside_the_new() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    before, after = Image.fromarray(noise), flat(255)
    cells = torch.zeros(12, 16, dtype=torch.bool)
    cells[3:9, 4:12] = True
    mixed = np.asarray(composed(before, after, cells, CELL))
    outside = ~np.repeat(np.repeat(cells.numpy(), CELL, 0), CELL, 1)
    assert np.array_equal(mixed[outside], noise[outside])
    assert (mixed[3 * CELL + 6 : 9 * CELL - 6, 4 * CELL + 6 : 12 * CELL - 6] == 255).all()
    lower, upper = np.minimum(noise, 255), np.maximum(noise, 255)
    assert ((mixed >= lower) & (mixed <= upper)).all()


@pytest.mark.parametrize("size", [(64, 48), (61, 45), (5, 3)])
def test_everything_changed_is_the_new_picture_at_any_size(size: tuple[int, int]) -> None:
    before, after = flat(0, size), flat(255, size)
    cells = changed_cells(before, after, CELL, THRESHOLDS)
    assert cells.all()
    assert composed(before, after, cells, CELL).tobytes() == after.tobytes()


def test_a_token_with_one_changed_cell_has_changed() -> None:
    cells = torch.zeros(12, 15, dtype=torch.bool)
    cells[5, 14] = True
    assert torch.nonzero(tokens_of(cells, 4)).tolist() == [[1, 3]]
