"""Colours that a file describes without a profile, against what lcms makes of a profile that says the same."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support.icc import PRIMARIES, SRGB_CURVE, rgb_profile
from tests.support.picture_files import GREY, PALETTE, RGB, chunk, png16, png_of_rows, saved
from undrift.errors import PictureError
from undrift.pictures import read_picture

WITHIN = 1
"""lcms computes with 16 bits and rounds twice."""

D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)


def colours() -> np.ndarray:
    """Every hue, dark and light."""
    y, x = np.mgrid[0:32, 0:32]
    return np.stack([x * 8, y * 8, (x + 2 * y) * 2 % 256], -1).astype(np.uint8)


def png(pixels: np.ndarray, *before: bytes) -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return png_of_rows((pixels.shape[1], pixels.shape[0]), 8, RGB if pixels.ndim == 3 else GREY, rows, before)


def by_lcms(pixels: np.ndarray, primaries: str, curve: float | Sequence[float]) -> np.ndarray:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(rgb_profile(primaries, curve, "oracle")))
    made = ImageCms.profileToProfile(
        Image.fromarray(pixels), profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert made is not None
    return np.asarray(made, dtype=int)


def off(data: bytes, wanted: np.ndarray) -> int:
    return int(np.abs(np.asarray(read_picture(data), dtype=int) - wanted).max())


def gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 1e5)))


def chromaticities(primaries: str, white: tuple[float, float] = D65) -> bytes:
    numbers = [*white, *(number for point in PRIMARIES[primaries] for number in point)]
    return chunk(b"cHRM", struct.pack(">8I", *(round(number * 1e5) for number in numbers)))


def points(primaries: int, curve: int) -> bytes:
    return chunk(b"cICP", bytes([primaries, curve, 0, 1]))


def profile(primaries: str, curve: float | Sequence[float]) -> bytes:
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(rgb_profile(primaries, curve, "x")))


@pytest.mark.parametrize(
    ("before", "primaries", "curve"),
    [
        ([gamma(1.0)], "sRGB", 1.0),
        ([gamma(1 / 1.8)], "sRGB", 1.8),
        ([chromaticities("Display P3")], "Display P3", SRGB_CURVE),
        ([chromaticities("Adobe RGB"), gamma(0.4547)], "Adobe RGB", SRGB_CURVE),
        ([chromaticities("ProPhoto", D50), gamma(1 / 1.8)], "ProPhoto", 1.8),
        ([points(12, 13)], "Display P3", SRGB_CURVE),
        ([points(1, 8)], "sRGB", 1.0),
        ([points(12, 13), profile("sRGB", 1.0)], "Display P3", SRGB_CURVE),
        ([points(12, 13), gamma(1.0)], "Display P3", SRGB_CURVE),
        ([profile("sRGB", 1.0), gamma(1 / 1.8)], "sRGB", 1.0),
        ([points(9, 16), profile("Display P3", SRGB_CURVE)], "Display P3", SRGB_CURVE),
    ],
)
def test_chunks_of_png(before: Sequence[bytes], primaries: str, curve: float | Sequence[float]) -> None:
    assert off(png(colours(), *before), by_lcms(colours(), primaries, curve)) <= WITHIN
    assert off(png(colours(), *before), colours().astype(int)) > 10


@pytest.mark.parametrize(
    "before",
    [
        [gamma(0.45455)],
        [gamma(0.45455), chromaticities("sRGB")],
        [gamma(1.0), chunk(b"sRGB", b"\0")],
        [gamma(1.0), profile("sRGB", SRGB_CURVE)],
        [points(1, 13)],
        [points(1, 1)],
        [points(2, 2)],
        [gamma(0)],
        [chunk(b"cHRM", bytes(32))],
        [chunk(b"cHRM", struct.pack(">8I", *[30000] * 8))],
        [chunk(b"cICP", b"x")],
    ],
)
def test_what_says_srgb_or_nothing_changes_no_bit(before: Sequence[bytes]) -> None:
    assert off(png(colours(), *before), colours().astype(int)) == 0


def test_every_kind_of_pixels() -> None:
    """IEC 61966-2-1: light of 128 / 255 is 188, of 1 / 255 is 13."""
    grey = np.array([[0, 1, 128, 255]], np.uint8)
    wanted = np.array([[0, 13, 188, 255]])[..., None].repeat(3, -1)
    assert off(png(grey, gamma(1.0)), wanted) == 0
    assert off(png(grey[..., None].repeat(3, -1), gamma(1.0)), wanted) == 0
    assert off(png16(grey.astype(np.uint16) * 257, [gamma(1.0)]), wanted) == 0
    entries = chunk(b"PLTE", grey[0].repeat(3).tobytes())
    assert off(png_of_rows((4, 1), 8, PALETTE, bytes([0, 0, 1, 2, 3]), [gamma(1.0), entries]), wanted) == 0
    clear = np.concatenate([grey[..., None].repeat(3, -1), np.full((1, 4, 1), 255)], -1).astype(np.uint16) * 257
    assert off(png16(clear, [gamma(1.0)]), wanted) == 0


@pytest.mark.parametrize(("curve", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused_and_not_shown_grey(curve: int, name: str) -> None:
    with pytest.raises(PictureError) as caught:
        read_picture(png(colours(), points(9, curve)))
    assert str(caught.value) == (f"the picture is of high dynamic range ({name}), which is not read: save it in sRGB")


def test_code_points_of_avif() -> None:
    """Pillow writes them as of sRGB; the pixels stay what they are when others are written over them."""
    data = saved(Image.fromarray(colours()), "AVIF", quality=100, subsampling="4:4:4")
    at = data.index(b"colrnclx") + 8
    with Image.open(io.BytesIO(data)) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    assert off(data, pixels.astype(int)) == 0
    wide = data[:at] + struct.pack(">HH", 12, 13) + data[at + 4 :]
    assert off(wide, by_lcms(pixels, "Display P3", SRGB_CURVE)) <= WITHIN
    with pytest.raises(PictureError, match="of high dynamic range"):
        read_picture(data[:at] + struct.pack(">HH", 9, 16) + data[at + 4 :])
