"""What masks of this and of other programs select, told in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from tests.support.picture_files import png16, saved, tiff
from undrift.errors import PictureError
from undrift.littleworld import demo
from undrift.pictures import as_mask, mask_bytes, open_holes, open_mask, read_mask, settled

SIZE = (64, 48)
BOX = (16, 12, 48, 36)
"""A quarter of the picture."""


def photo() -> Image.Image:
    """Many colours."""
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2))


def filled(mode: str, around: object, inside: object) -> Image.Image:
    image = Image.new(mode, SIZE, around)  # type: ignore[arg-type]
    image.paste(inside, BOX)  # type: ignore[arg-type]
    return image


def with_hole(image: Image.Image) -> Image.Image:
    made = image.convert("RGBA")
    made.putalpha(filled("L", 255, 0).resize(made.size, Image.Resampling.NEAREST))
    return made


def check(image: Image.Image, how: str, box: Image.Image | None = None, kind: str = "PNG") -> None:
    mask = open_mask(saved(image, kind))
    wanted = filled("L", 0, 255) if box is None else box
    assert np.array_equal(np.asarray(mask.image), np.asarray(wanted)), mask.says
    assert how in mask.says


@pytest.mark.parametrize(
    ("mode", "around", "inside"),
    [("L", 0, 255), ("RGB", (0, 0, 0), (255, 255, 255)), ("1", 0, 1), ("LA", (0, 255), (255, 255)), ("L", 3, 250)],
)
def test_white_on_black(mode: str, around: object, inside: object) -> None:
    check(filled(mode, around, inside), "selects 25% of the picture: its bright parts")


@pytest.mark.parametrize(
    ("mode", "around", "inside"),
    [
        ("L", 0, 1),
        ("L", 0, 128),
        ("L", 1, 2),
        ("RGB", (0, 0, 0), (128, 0, 0)),
        ("RGBA", (0, 0, 0, 200), (1, 1, 1, 200)),
    ],
)
def test_of_two_values_the_lighter_one_selects(mode: str, around: object, inside: object) -> None:
    check(filled(mode, around, inside), "selects 25% of the picture: its bright parts, of its two values")


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_zero_and_one_in_more_than_eight_bits(kind: type[np.generic]) -> None:
    values = (np.asarray(filled("L", 0, 1))).astype(kind)
    check(Image.fromarray(values), "its bright parts, of its two values", kind="TIFF")


def test_deep_masks_keep_their_greys() -> None:
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64)
    wanted = np.floor(ramp.astype(np.uint16) / 257 + 0.5)
    for data in (png16(ramp.astype(np.uint16)), saved(Image.fromarray((ramp / 65535).astype(np.float32)), "TIFF")):
        read = np.asarray(read_mask(data), dtype=int)
        clear = (wanted > 8) & (wanted < 247)
        assert np.abs(read - wanted)[clear].max() <= 1
        assert (read.min(), read.max()) == (0, 255)


def test_white_is_zero_masks() -> None:
    values = np.asarray(filled("L", 255, 0)).astype(np.uint16)
    assert np.array_equal(np.asarray(read_mask(tiff(values, 0))), np.asarray(filled("L", 0, 255)))


def test_one_value() -> None:
    assert read_mask(saved(Image.new("L", SIZE, 1), "PNG")).getextrema() == (255, 255)
    assert open_mask(saved(Image.new("L", SIZE, 0), "PNG")).share == 0
    assert open_mask(saved(Image.new("RGBA", SIZE, (0, 0, 0, 0)), "PNG")).share == 0


def test_a_sheet_that_is_wholly_transparent_selects_nothing() -> None:
    for colour in ((0, 0, 0, 0), (255, 255, 255, 0)):
        assert open_mask(saved(Image.new("RGBA", SIZE, colour), "PNG")).share == 0
    unseen = photo().convert("RGBA")
    unseen.putalpha(0)
    assert open_mask(saved(unseen, "PNG")).share == 0


def test_what_is_all_but_opaque_is_no_hole() -> None:
    """Lossy compression and blending leave an opacity of 254 here and there."""
    nearly = photo().convert("RGBA")
    nearly.putalpha(filled("L", 255, 254))
    assert "its bright parts" in open_mask(saved(nearly, "PNG")).says
    nearly.putalpha(filled("L", 254, 0))
    check(nearly, "its transparent parts")
    with pytest.raises(PictureError, match="the mask has nothing transparent"):
        open_holes(saved(with_hole(photo()).convert("RGB"), "PNG"))
    assert open_holes(saved(nearly, "PNG")).image.tobytes() == filled("L", 0, 255).tobytes()


def test_holes_are_turned_with_their_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = open_holes(saved(with_hole(photo()), "PNG", exif=exif)).image
    assert turned.tobytes() == filled("L", 0, 255).transpose(Image.Transpose.ROTATE_270).tobytes()


def test_what_a_mask_means_is_decided_once() -> None:
    """Of two values 100 would be white; settled, it stays 100, also when it comes back from a file or is combined."""
    mask = settled(filled("L", 0, 100))
    assert as_mask(mask).tobytes() == read_mask(mask_bytes(mask)).tobytes() == mask.tobytes()
    half = ImageChops.darker(mask, settled(filled("L", 255, 60)))
    assert as_mask(half).getextrema() == (0, 60)
    assert as_mask(filled("L", 0, 100)).getextrema() == (0, 255)


def test_one_transparent_pixel_is_not_a_hole() -> None:
    for alpha in (0, 254):
        mask = filled("RGBA", (0, 0, 0, 255), (255, 255, 255, 255))
        mask.putpixel((0, 0), (0, 0, 0, alpha))
        check(mask, "its bright parts")
    soft = filled("L", 0, 255).filter(ImageFilter.GaussianBlur(4)).convert("RGBA")
    wanted = as_mask(soft.convert("L"))
    soft.putpixel((0, 0), (0, 0, 0, 0))
    assert np.array_equal(np.asarray(as_mask(soft)), np.asarray(wanted))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_a_hole_in_a_photo(kind: str) -> None:
    check(with_hole(photo()), "selects 25% of the picture: its transparent parts", kind=kind)


@pytest.mark.parametrize("sheet", ["black", "white", "magenta"])
def test_a_hole_in_a_sheet(sheet: str) -> None:
    check(with_hole(Image.new("RGB", SIZE, sheet)), "its transparent parts")


def test_a_hole_in_a_drawing_and_at_its_border() -> None:
    drawing = demo.picture().convert("RGBA")
    alpha = Image.new("L", drawing.size, 255)
    alpha.paste(0, (0, 0, drawing.width, drawing.height // 3))
    drawing.putalpha(alpha)
    mask = open_mask(saved(drawing, "PNG"))
    assert np.array_equal(np.asarray(mask.image), 255 - np.asarray(alpha))


@pytest.mark.parametrize("paint", [(255, 0, 0), (255, 255, 255), (0, 0, 0), (10, 20, 30)])
def test_strokes_on_nothing(paint: tuple[int, int, int]) -> None:
    strokes = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    ImageDraw.Draw(strokes).rectangle((16, 12, 47, 35), fill=(*paint, 255))
    check(strokes, "selects 25% of the picture: its opaque parts")


def test_strokes_of_a_soft_brush_in_two_colours() -> None:
    alpha = filled("L", 0, 255).filter(ImageFilter.GaussianBlur(3))
    strokes = filled("RGB", "red", "red")
    strokes.paste("blue", (0, 0, 30, 48))
    strokes.putalpha(alpha)
    mask = open_mask(saved(strokes, "PNG"))
    assert np.array_equal(np.asarray(mask.image), np.asarray(as_mask(alpha)))
    assert "its opaque parts" in mask.says


def test_a_jpeg_is_black_where_it_looks_black() -> None:
    mask = read_mask(saved(filled("L", 0, 255), "JPEG", quality=60))
    away = np.asarray(mask)[np.asarray(filled("L", 0, 255).filter(ImageFilter.MaxFilter(17))) == 0]
    assert away.max() == 0


def test_labels_are_refused() -> None:
    labels = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64) % 21
    with pytest.raises(PictureError, match=r"the mask has 21 values up to 20 of 255, expected white \(255\) where"):
        read_mask(saved(Image.fromarray(labels), "PNG"))
    fractions = Image.fromarray(np.array([[0, 0.5, 7]], np.float32))
    with pytest.raises(PictureError, match="holds fractions outside of 0 to 1"):
        read_mask(saved(fractions, "TIFF"))
    nothing = Image.fromarray(np.array([[0, np.nan]], np.float32))
    with pytest.raises(PictureError, match="holds values that are no numbers"):
        read_mask(saved(nothing, "TIFF"))


def test_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    filled("L", 0, 255).save(tmp_path / "mask.png", exif=exif)
    assert read_mask(tmp_path / "mask.png").size == (48, 64)


@given(
    arrays(
        np.uint8,
        st.tuples(st.integers(1, 6), st.integers(1, 6)),
        elements=st.sampled_from([0, 1, 7, 99, 128, 250, 255]),
    )
)
def test_a_mask_is_its_own_mask(values: np.ndarray) -> None:
    try:
        once = as_mask(Image.fromarray(values))
    except PictureError:
        return
    assert as_mask(once).tobytes() == once.tobytes()
    assert read_mask(saved(once, "PNG")).tobytes() == once.tobytes()
