"""Any bytes are a picture or a mask, or are refused."""

from __future__ import annotations

from functools import cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.fuzz.harness import attempt, damaged, fuzzed
from tests.support.icc import grey_profile, rgb_profile
from tests.support.picture_files import GREY, RGB, chunk, png16, png_of_rows, saved, tiff, tiff_of_pages
from undrift.pictures import Mask, open_mask, png_bytes, read_metadata, read_picture
from undrift.session.region import region_of


@cache
def pictures() -> list[bytes]:
    """A small file of every format, depth and layout."""
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)).resize((40, 32))
    grey, clear, paper = colours.convert("L"), colours.convert("RGBA"), colours.convert("P")
    clear.putalpha(grey)
    deep = rng.integers(0, 65536, (6, 5, 4), dtype=np.uint16)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a picture"
    linear = rgb_profile("sRGB", 1.0, "linear")
    return [
        *(saved(colours, kind) for kind in ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM", "JPEG2000")),
        png_bytes(colours, {"prompt": "a fox", "turns": [{"number": 1, "spec": None}]}),
        *(saved(image, "PNG") for image in (grey, clear, grey.convert("LA"), grey.convert("1"))),
        saved(paper, "PNG", transparency=3),
        *(png16(values) for values in (deep, deep[..., :3], deep[..., :2], deep[..., 0])),
        png_of_rows((9, 9), 8, RGB, bytes(28 * 9), [chunk(b"tRNS", bytes(6)), chunk(b"gAMA", bytes(4))]),
        png_of_rows((3, 3), 4, GREY, bytes(30), interlaced=True),
        saved(colours, "PNG", icc_profile=linear, exif=exif),
        saved(grey, "PNG", icc_profile=grey_profile(1.8, "grey")),
        saved(colours, "JPEG", progressive=True, exif=exif, icc_profile=linear, comment=b"c" * 100),
        saved(colours.convert("CMYK"), "JPEG"),
        saved(colours, "MPO", save_all=True, append_images=[grey]),
        saved(clear, "WEBP", lossless=True, exif=exif, icc_profile=linear),
        saved(clear, "AVIF"),
        *(saved(colours, "TIFF", compression=how) for how in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")),
        saved(grey.convert("1"), "TIFF", compression="group4"),
        saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"),
        *(tiff(deep[..., :3], 2, order=order) for order in ("<", ">")),
        *(tiff(deep[..., 0], photometric) for photometric in (0, 1)),
        tiff(deep, 5),
        tiff_of_pages(3),
        saved(paper, "GIF", transparency=2, comment=b"c" * 300),
        saved(paper, "GIF", save_all=True, append_images=[paper.rotate(90)]),
        saved(paper, "BMP"),
        saved(grey.convert("1"), "PPM"),
        saved(Image.fromarray(deep[..., 0]), "PPM"),
        b"P3\n# comment\n2 2\n255\n" + b"1 2 3 " * 4,
        b"P1\n2 2\n1 0 0 1\n",
        b"P5\n2 2\n1000\n" + bytes(8),
        saved(Image.fromarray(deep[..., 0]), "JPEG2000"),
        saved(clear, "JPEG2000"),
    ]


anything = st.one_of(damaged(pictures()), damaged(pictures()), damaged(pictures()), st.binary(max_size=200))


def test_the_originals_are_read() -> None:
    """A fuzz target whose files were refused from their first byte would find nothing."""
    read = sum(attempt("originals", lambda data=data: read_picture(data)) is not None for data in pictures())  # type: ignore[misc]
    assert read >= len(pictures()) - 5


@fuzzed
@given(anything)
def test_a_picture_is_read_or_refused(data: bytes) -> None:
    picture = attempt("pictures", lambda: read_picture(data))
    if picture is not None:
        assert isinstance(picture, Image.Image)
        assert picture.mode == "RGB"
        assert not picture.info


@fuzzed
@given(anything)
def test_a_mask_is_read_or_refused(data: bytes) -> None:
    mask = attempt("masks", lambda: open_mask(data))
    if mask is not None:
        assert isinstance(mask, Mask)
        assert 0 <= mask.share <= 1
        attempt("regions", lambda: region_of(mask.image, None, mask.image.size))


@fuzzed
@given(st.one_of(anything, damaged([png_bytes(Image.new("L", (4, 4)), {"prompt": "a fox", "turns": []})])))
def test_metadata_is_read_or_refused(data: bytes) -> None:
    metadata = attempt("metadata of pictures", lambda: read_metadata(data))
    assert metadata is None or isinstance(metadata, dict)
