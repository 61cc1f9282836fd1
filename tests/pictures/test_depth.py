"""Deep pictures are scaled and rounded in every layout, and transparent colours are compared at the file's depth."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.picture_files import GREY, RGB, Order, chunk, png16, png_of_rows, saved, tiff
from undrift.errors import PictureError
from undrift.pictures import read_picture
from undrift.pictures.depth import to_eight

WHITE_IS_ZERO, BLACK_IS_ZERO, COLOURS, SEPARATED = 0, 1, 2, 5
OPACITY = 2
"""What a channel beside the colours means (TIFF 6.0, ExtraSamples)."""


def deep(*shape: int) -> np.ndarray:
    values = np.random.default_rng(len(shape)).integers(0, 65536, shape, dtype=np.uint16)
    values.flat[:6] = (0, 128, 129, 385, 386, 65535)
    return values


def rounded(values: np.ndarray) -> np.ndarray:
    """v / 257 to the nearest; no 16-bit value lies in the middle, 257 being odd."""
    nearest: np.ndarray = np.floor(values / 257 + 0.5).astype(int)
    return nearest


def read(data: bytes) -> np.ndarray:
    pixels: np.ndarray = np.asarray(read_picture(data), dtype=int)
    return pixels


def on_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    a = rounded(alpha)[..., None] / 255
    blended: np.ndarray = a * rounded(colour) + (1 - a) * 255
    return blended


@given(st.integers(0, 65535))
def test_every_value_is_rounded_to_the_nearest(value: int) -> None:
    assert int(to_eight(np.array([value], np.uint16))[0]) == round(value / 257)


def test_png_of_sixteen_bits() -> None:
    colours = deep(9, 7, 3)
    assert np.array_equal(read(png16(colours)), rounded(colours))
    grey = deep(9, 7)
    assert np.array_equal(read(png16(grey)), rounded(grey)[..., None].repeat(3, -1))


def test_png_of_sixteen_bits_with_opacity() -> None:
    values = deep(9, 7, 4)
    assert np.abs(read(png16(values)) - on_white(values[..., :3], values[..., 3])).max() <= 1
    grey = deep(9, 7, 2)
    assert np.abs(read(png16(grey)) - on_white(grey[..., :1].repeat(3, -1), grey[..., 1])).max() <= 1
    opaque = np.stack([grey[..., 0], np.full((9, 7), 65535, np.uint16)], -1)
    assert np.array_equal(read(png16(opaque))[..., 0], rounded(grey[..., 0]))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
def test_tiff_of_sixteen_bits(order: Order, packed: bool) -> None:
    write = compressed_tiff if packed else tiff
    colours, grey, clear = deep(9, 7, 3), deep(9, 7), deep(9, 7, 2)
    assert np.array_equal(read(write(colours, COLOURS, order=order)), rounded(colours))
    assert np.array_equal(read(write(grey, BLACK_IS_ZERO, order=order))[..., 1], rounded(grey))
    assert np.array_equal(read(write(grey, WHITE_IS_ZERO, order=order))[..., 1], rounded(65535 - grey))
    wanted = on_white(clear[..., :1].repeat(3, -1), clear[..., 1])
    assert np.abs(read(write(clear, BLACK_IS_ZERO, {338: [OPACITY]}, order=order)) - wanted).max() <= 1


def compressed_tiff(
    values: np.ndarray, photometric: int, extra: Mapping[int, Sequence[int]] | None = None, order: Order = "<"
) -> bytes:
    """The same in Deflate: the strip is what zlib makes of it."""
    plain = tiff(values, photometric, {259: [8], **(extra or {})}, order=order)
    packed = zlib.compress(values.astype(values.dtype.newbyteorder(order)).tobytes())
    body = plain[: len(plain) - values.nbytes]
    return body.replace(struct.pack(f"{order}HHII", 279, 4, 1, values.nbytes),
                        struct.pack(f"{order}HHII", 279, 4, 1, len(packed))) + packed  # fmt: skip


@pytest.mark.parametrize(("extra", "divided"), [(0, False), (1, True), (2, False)])
def test_tiff_of_sixteen_bits_with_a_fourth_channel(extra: int, divided: bool) -> None:
    """0: it means nothing; 1: the colours were multiplied by it; 2: it is the opacity (TIFF 6.0, ExtraSamples)."""
    values = deep(9, 7, 4)
    values[..., 3] |= 0x8000
    if divided:
        values[..., :3] = values[..., :3].astype(np.uint32) * values[..., 3:] // 65535
    colours = values[..., :3] * (65535 / values[..., 3:]) if divided else values[..., :3]
    wanted = rounded(values[..., :3]) if extra == 0 else on_white(colours, values[..., 3])
    assert np.abs(read(tiff(values, COLOURS, {338: [extra]})) - wanted).max() <= (0 if extra == 0 else 1)


def test_cmyk_of_sixteen_bits() -> None:
    values = np.zeros((4, 4, 4), np.uint16)
    values[..., 1:3] = 65535
    assert np.abs(read(tiff(values, SEPARATED)) - [255, 0, 0]).max() <= 2


def test_white_is_zero_is_turned_over() -> None:
    for values in (deep(9, 7), np.arange(63, dtype=np.uint8).reshape(9, 7)):
        inverted = read(tiff(values, WHITE_IS_ZERO))
        plain = read(tiff(values, BLACK_IS_ZERO))
        assert np.array_equal(inverted, 255 - plain)
    assert read(tiff(np.zeros((4, 4), np.uint16), WHITE_IS_ZERO)).min() == 255


@pytest.mark.parametrize("order", ["<", ">"])
def test_twelve_bits(order: Order) -> None:
    """Two grey pixels in three bytes: 0xFFF is white."""
    rows = np.frombuffer(bytes([0xFF, 0xF0, 0x00, 0x80, 0x0F, 0xFF]), np.uint8).reshape(2, 3)
    data, entry = tiff(rows, BLACK_IS_ZERO, order=order), f"{order}HHIHH"
    for tag, stored, meant in ((256, 3, 2), (258, 8, 12)):
        data = data.replace(struct.pack(entry, tag, 3, 1, stored, 0), struct.pack(entry, tag, 3, 1, meant, 0))
    assert read(data)[..., 0].tolist() == [[255, 0], [128, 255]]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("values", "photometric", "layout"),
    [
        (np.zeros((4, 4, 3), np.uint32), 2, "3 channels of 32 bits"),
        (np.zeros((4, 4, 2), np.uint16), 0, "2 channels of 16 bits, white being 0"),
        (np.zeros((4, 4), np.uint64), 1, "1 channel of 64 bits"),
    ],
)
def test_layouts_that_are_not_read_are_named(order: Order, values: np.ndarray, photometric: int, layout: str) -> None:
    with pytest.raises(PictureError) as caught:
        read_picture(tiff(values, photometric, order=order))
    assert str(caught.value) == (
        f"the picture is a TIFF of {layout}, which is not read: save it as PNG, or with 8 or 16 bits of RGB"
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("shape", "kind", "layout"),
    [
        ((4, 4, 3), np.uint16, "3 channels of 16 bits"),
        ((4, 4, 2), np.uint8, "2 channels of 8 bits"),
        ((4, 4), np.uint16, "1 channel of 16 bits"),
    ],
)
def test_planes_whose_bytes_would_be_taken_for_others_are_refused(
    order: Order, shape: tuple[int, ...], kind: type[np.generic], layout: str
) -> None:
    extra = {284: [2], **({338: [OPACITY]} if shape[2:] == (2,) else {})}
    data = tiff(np.zeros(shape, kind), COLOURS if shape[2:] == (3,) else BLACK_IS_ZERO, extra, order)
    with pytest.raises(PictureError) as caught:
        read_picture(data)
    assert str(caught.value) == (
        f"the picture is a TIFF of {layout} in separate planes, which is not read: "
        "save it as PNG, or with 8 or 16 bits of RGB"
    )


def test_planes_of_eight_bits_are_read() -> None:
    """Three strips, each with one channel of all rows."""
    planes = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    rows = tiff(planes.reshape(24, 8), BLACK_IS_ZERO, {278: [8], 284: [2]})
    count, start = struct.unpack("<H", rows[8:10])[0], len(rows) - planes.nbytes
    entries = {struct.unpack("<H", rows[10 + 12 * n : 12 + 12 * n])[0]: 10 + 12 * n for n in range(count)}
    changed = bytearray(rows)
    tail = struct.pack("<3I3I3H", *(start + 64 * n for n in range(3)), 64, 64, 64, 8, 8, 8)
    for tag, kind, number, value in (
        (257, 3, 1, 8), (258, 3, 3, len(rows) + 24), (262, 3, 1, COLOURS), (273, 4, 3, len(rows)),
        (277, 3, 1, 3), (279, 4, 3, len(rows) + 12),
    ):  # fmt: skip
        changed[entries[tag] : entries[tag] + 12] = struct.pack("<HHII", tag, kind, number, value)
    assert np.array_equal(read(bytes(changed) + tail), planes.transpose(1, 2, 0))


def transparent(*key: int) -> bytes:
    return chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))


@pytest.mark.parametrize(
    ("bits", "row", "key", "wanted"),
    [
        (1, 0b01000000, 0, [255, 255]),
        (1, 0b01000000, 1, [0, 255]),
        (2, 0b01110000, 1, [255, 255]),
        (4, 0x5A, 5, [255, 170]),
        (4, 0x0A, 10, [0, 255]),
    ],
)
def test_a_transparent_grey_of_few_bits_is_on_white(bits: int, row: int, key: int, wanted: list[int]) -> None:
    data = png_of_rows((2, 1), bits, GREY, bytes([0, row]), [transparent(key)])
    assert read(data)[0, :, 0].tolist() == wanted


def test_a_transparent_colour_is_on_white() -> None:
    data = png_of_rows((2, 1), 8, RGB, bytes([0, 1, 2, 3, 1, 2, 4]), [transparent(1, 2, 3)])
    assert read(data)[0].tolist() == [[255, 255, 255], [1, 2, 4]]
    assert read(png_of_rows((2, 1), 8, GREY, bytes([0, 7, 8]), [transparent(7)]))[0, :, 0].tolist() == [255, 8]


def test_a_transparent_colour_of_sixteen_bits_is_compared_at_sixteen() -> None:
    colours = np.array([[[1000, 2000, 3000], [1000, 2000, 3001]]], np.uint16)
    data = png16(colours, [transparent(1000, 2000, 3000)])
    assert read(data)[0].tolist() == [[255, 255, 255], rounded(colours[0, 1]).tolist()]
    grey = np.array([[1000, 1001]], np.uint16)
    assert read(png16(grey, [transparent(1000)]))[0, :, 0].tolist() == [255, 4]


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_orientation_of_deep_pictures(kind: str) -> None:
    values = deep(9, 7)
    exif = Image.Exif()
    exif[0x0112] = 3
    data = saved(Image.fromarray(values), kind, exif=exif)
    assert np.array_equal(read(data)[..., 0], rounded(values)[::-1, ::-1])
