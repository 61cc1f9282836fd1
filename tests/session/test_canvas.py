"""Cropping and extending: the picture's own pixels stay, what is beyond is mirrored."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from undrift.errors import InputError
from undrift.session.canvas import Frame, check_frame, framed

WIDTH, HEIGHT = 40, 32
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))


def test_a_part_is_the_pixels_of_that_part() -> None:
    part = framed(PICTURE, Frame(5, 8, 20, 17))
    assert part.tobytes() == PICTURE.crop((5, 8, 25, 25)).tobytes()


def test_beyond_its_edges_the_picture_is_its_own_reflection() -> None:
    made = np.asarray(framed(PICTURE, Frame(-10, -4, 60, 44)))
    own = np.asarray(PICTURE)
    assert (made[4 : 4 + HEIGHT, 10 : 10 + WIDTH] == own).all()
    assert (made[4 : 4 + HEIGHT, :10] == own[:, 9::-1]).all()
    assert (made[4 : 4 + HEIGHT, 10 + WIDTH :] == own[:, : WIDTH - 11 : -1]).all()
    assert (made[:4, 10 : 10 + WIDTH] == own[3::-1]).all()
    assert (made[4 + HEIGHT :, 10 : 10 + WIDTH] == own[: HEIGHT - 9 : -1]).all()


def test_one_side_is_cropped_while_another_is_extended() -> None:
    made = np.asarray(framed(PICTURE, Frame(-6, 10, 30, 16)))
    assert (made[:, 6:] == np.asarray(PICTURE)[10:26, :24]).all()
    assert (made[:, :6] == np.asarray(PICTURE)[10:26, 5::-1]).all()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (Frame(0, 0, 15, 20), "the frame is 15x20, expected 16 to 65535 pixels a side and at most 64 megapixels"),
        (Frame(0, 0, 9000, 9000), "the frame is 9000x9000, expected"),
        (Frame(40, 0, 20, 20), "the frame has nothing of the picture: it goes from 40,0 to 60,20"),
        (Frame(0, -20, 20, 20), "the frame has nothing of the picture"),
    ],
)
def test_a_frame_that_cannot_be_is_one_clear_line(frame: Frame, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_frame(frame, PICTURE.size)
