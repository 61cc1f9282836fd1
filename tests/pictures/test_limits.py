"""Work on strangers' files is bounded before it is done, and what is cut off is refused."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.picture_files import (
    GREY,
    PNG_SIGNATURE,
    RGB,
    chunk,
    png_of_rows,
    saved,
    tiff,
    tiff_of_pages,
)
from undrift.errors import Cancelled, PictureError
from undrift.pictures import MAX_SIDE, limits, meter, read_metadata, read_picture
from undrift.pictures.limits import PNG_CHANNELS, png_bytes_expected


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("rows", [0, 1, 7])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_that_ends_before_its_rows_do_is_refused(rows: int, interlaced: bool) -> None:
    data = png_of_rows((8, 8), 8, RGB, bytes(25 * rows), interlaced=interlaced)
    with pytest.raises(
        PictureError, match=rf"is damaged or cut off: it ends after {25 * rows} of \d+ bytes of its rows"
    ):
        read_picture(data)


def test_a_whole_png_in_many_parts_is_read() -> None:
    packed = zlib.compress(b"".join(b"\0" + bytes(24) for _ in range(8)))
    parts = b"".join(chunk(b"IDAT", packed[at : at + 1]) + chunk(b"IDAT", b"") for at in range(len(packed)))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, RGB, 0, 0, 0))
    assert read_picture(PNG_SIGNATURE + header + parts + chunk(b"IEND", b"")).size == (8, 8)


@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([(1, GREY), (4, GREY), (8, RGB), (16, 6)]), st.booleans()
)
def test_bytes_of_rows(width: int, height: int, kind: tuple[int, int], interlaced: bool) -> None:
    """As the specification counts them: a filter byte and whole bytes of pixels for each row of each pass."""
    bits, colour = kind
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    # The pattern of 8 by 8 pixels in which section 8.2 numbers the passes.
    pattern = np.array(
        [
            [1, 6, 4, 6, 2, 6, 4, 6],
            [7] * 8,
            [5, 6] * 4,
            [7] * 8,
            [3, 6, 4, 6, 3, 6, 4, 6],
            [7] * 8,
            [5, 6] * 4,
            [7] * 8,
        ]
    )
    passes = pattern[rows % 8, columns % 8] if interlaced else np.ones_like(rows)
    total = 0
    for number in range(1, 8):
        for row in passes == number:
            count = int(row.sum())
            total += 1 + -(-count * bits * PNG_CHANNELS[colour] // 8) if count else 0
    assert png_bytes_expected(width, height, bits, colour, interlaced) == total


def test_tiff_without_all_its_rows_is_refused() -> None:
    data = tiff(np.zeros((8, 8), np.uint8), 1)
    data = data.replace(struct.pack("<HHIHH", 278, 3, 1, 8, 0), struct.pack("<HHIHH", 278, 3, 1, 3, 0))
    with pytest.raises(PictureError, match="is damaged or cut off: it has 3 of 8 rows"):
        read_picture(data)


def test_sides_have_a_limit() -> None:
    data = png_of_rows((1, 60_000_000), 8, GREY, b"")
    with pytest.raises(
        PictureError, match=rf"has 1x60000000 pixels, at most {MAX_SIDE} a side are read: crop it first"
    ):
        read_picture(data)
    assert read_picture(saved(Image.new("L", (MAX_SIDE, 1)), "PNG")).size == (MAX_SIDE, 1)


def test_pages_are_not_counted_without_end() -> None:
    with pytest.raises(PictureError, match="has 7 frames, expected a still picture"):
        read_picture(tiff_of_pages(7))
    with pytest.raises(PictureError, match="has many frames, expected a still picture"):
        read_picture(tiff_of_pages(270_000))


def plain_pixels(count: int) -> bytes:
    """A PPM that spells its numbers out, which Pillow reads in Python."""
    return b"P3 %d %d 255\n" % (count, 1000) + b"1 2 3 " * (count * 1000)


def a_comment(size: int) -> bytes:
    return b"P6\n#" + b"c" * size + b"\n1 1 255\n\1\2\3"


def chunks(count: int) -> bytes:
    return png_of_rows((1, 1), 8, GREY, bytes(2), [chunk(b"tEXt", b"a\0b") * count])


@pytest.mark.slow
def test_endless_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are legal and small, and keep Pillow's loops busy."""
    monkeypatch.setattr(meter, "SECONDS", 0.2)
    monkeypatch.setattr(meter, "SECONDS_PER_MEGAPIXEL", 0.01)
    for data in (plain_pixels(4000), a_comment(32_000_000), chunks(1_500_000)):
        with pytest.raises(PictureError, match="takes too much work to read: save it again with a common program"):
            read_picture(data)
    with pytest.raises(PictureError, match="takes too much work to read"):
        read_metadata(chunks(1_500_000))


def test_a_file_is_read_a_few_times_at_most() -> None:
    counted = meter.Meter(io.BytesIO(bytes(2**20)), "it")
    for _ in range(meter.TIMES_OVER + 1):
        counted.seek(0)
        assert len(counted.read()) == 2**20
    counted.seek(0)
    with pytest.raises(PictureError, match="it takes too much work to read"):
        counted.read()


def test_jpegs_of_very_many_scans_are_refused() -> None:
    """Each scan goes over the whole picture: here 40 megapixels, 200 times, in a few kilobytes."""
    data = saved(Image.new("L", (8000, 5000)), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    scan = data[at:-2]
    with pytest.raises(PictureError, match=r"has 2\d\d scans, too many to read"):
        read_picture(data[:-2] + scan * 200 + b"\xff\xd9")
    assert read_picture(saved(noise(64, 64), "JPEG", progressive=True)).size == (64, 64)


def jpegs() -> dict[str, bytes]:
    smooth = noise(20, 15).resize((200, 150))
    return {
        "baseline": saved(smooth, "JPEG"),
        "progressive": saved(smooth, "JPEG", progressive=True),
        "restart markers": saved(smooth, "JPEG", restart_marker_blocks=3),
        "no subsampling": saved(smooth, "JPEG", subsampling=0),
        "grey": saved(smooth.convert("L"), "JPEG"),
        "CMYK": saved(smooth.convert("CMYK"), "JPEG"),
        "RGB": saved(smooth, "JPEG", keep_rgb=True),
    }


@pytest.mark.parametrize("name", jpegs())
def test_a_jpeg_whose_rows_end_before_its_end_marker_is_refused(name: str) -> None:
    """Pillow fills the rows that are missing with grey, without a word."""
    data = jpegs()[name]
    assert read_picture(data).size == (200, 150)
    for kept in (0.3, 0.6, 0.9, 0.99):
        with pytest.raises(PictureError, match=r"is damaged or cut off: premature end|is truncated"):
            read_picture(data[: int(len(data) * kept)] + b"\xff\xd9")


@pytest.mark.parametrize("name", jpegs())
def test_harmless_bytes_between_and_behind_the_parts_of_a_jpeg(name: str) -> None:
    data = jpegs()[name]
    padded = data[:2] + b"\xff\xe9\x00\x04ab" + data[2:-2] + bytes(5) + data[-2:] + b"the film of a motion photo"
    assert read_picture(padded).tobytes() == read_picture(data).tobytes()


@pytest.mark.parametrize("tiled", [False, True])
def test_a_jpeg_within_a_tiff_that_is_cut_off_is_refused(tiled: bool) -> None:
    options = {"tiffinfo": {322: 64, 323: 64}} if tiled else {}
    data = saved(noise(20, 15).resize((200, 150)), "TIFF", compression="jpeg", **options)
    with Image.open(io.BytesIO(data)) as image:
        tags = image.tag_v2  # type: ignore[attr-defined]
        counts = tags.get(279) or tags[325]
    assert read_picture(data).size == (200, 150)
    whole = struct.pack(f"<{len(counts)}I", *counts)
    assert data.count(whole) == 1
    with pytest.raises(PictureError, match="is damaged or cut off"):
        read_picture(data.replace(whole, struct.pack(f"<{len(counts)}I", *(count // 2 for count in counts))))


def test_a_jpeg_larger_than_any_picture_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_JPEG", 1000)
    with pytest.raises(PictureError, match=r"has \d+ KB, JPEGs of at most 1000 bytes are read"):
        read_picture(saved(noise(64, 64), "JPEG"))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "GIF"])
def test_files_larger_than_any_picture_are_not_read(tmp_path: Path, kind: str) -> None:
    """Nothing of it is on the disk, and some decoders would have all of it in memory."""
    path = tmp_path / "picture"
    path.write_bytes(saved(noise(8, 8), kind))
    os.truncate(path, 40 * 2**30)
    with pytest.raises(PictureError, match=r"'.*picture' has 40 GB, pictures of at most 640 MB are read"):
        read_picture(path)


@pytest.mark.parametrize("carries", [b"zTXtk\0\0", b"iTXtk\0\1\0\0\0", b"iCCPk\0\0"])
def test_what_a_png_carries_is_not_inflated_without_end(carries: bytes) -> None:
    part = chunk(carries[:4], carries[4:] + zlib.compress(bytes(20_000_000)))
    with pytest.raises(PictureError) as caught:
        read_picture(png_of_rows((2, 2), 8, RGB, bytes(14), [part]))
    assert str(caught.value) == (
        "the picture carries larger texts or colour profiles than are read: save it without metadata"
    )


def test_decoding_can_be_stopped() -> None:
    def stop() -> None:
        raise Cancelled("cancelled")

    for kind in ("PNG", "JPEG", "TIFF", "BMP"):
        with pytest.raises(Cancelled):
            read_picture(saved(noise(400, 400), kind), check=stop)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(PictureError, match="is a pipe or a device, expected a picture file"):
            read_picture(path)


def test_decoders_write_nothing_of_their_own(capfd: pytest.CaptureFixture[str]) -> None:
    """libtiff reports to stderr, past Python; afterwards there is a stderr again."""
    with pytest.raises(PictureError, match="is damaged or cut off"):
        read_picture(tiff(np.ones((8, 8), np.uint8), 1, {259: [8]}))  # said to be Deflate, and is not
    os.write(2, b"here")
    assert capfd.readouterr().err == "here"


@pytest.mark.parametrize("kind", ["GIF", "BMP", "JPEG2000", "AVIF"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_other_formats_cut_off(kind: str, kept: float) -> None:
    data = saved(noise(64, 64), kind)
    with pytest.raises(PictureError, match=r"is damaged or cut off|is not a picture"):
        read_picture(data[: int(len(data) * kept)])
