"""Reading any still picture, refusing everything else in one line, and the metadata of PNGs."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from tests.support.picture_files import chunk, png16
from undrift.errors import PictureError, SessionError
from undrift.pictures import png_bytes, read_metadata, read_picture, write_png


def pattern(width: int = 12, height: int = 8) -> Image.Image:
    """A picture without symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 20, y * 30, (x + y) * 12], axis=-1).astype(np.uint8))


def same(a: Image.Image, b: Image.Image) -> bool:
    return a.mode == b.mode == "RGB" and a.size == b.size and a.tobytes() == b.tobytes()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_give_back_the_pixels(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(encoded(pattern(), kind))
    assert same(read_picture(path), pattern())
    assert same(read_picture(path.read_bytes()), pattern())


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
def test_exif_orientation_is_applied(orientation: int, undo: Image.Transpose) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = encoded(pattern().transpose(undo), "PNG", exif=exif)
    read = read_picture(stored)
    assert same(read, pattern())
    assert not read.info
    assert not read.getexif()


@pytest.mark.parametrize("depth", [8, 16])
def test_orientation_of_a_png_wherever_it_is_written(depth: int) -> None:
    """Behind the pixels, which the specification allows, and as a text, as ImageMagick wrote it for twenty years."""
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = pattern().transpose(Image.Transpose.ROTATE_90)
    stored = encoded(turned, "PNG") if depth == 8 else png16(np.asarray(turned).astype(np.uint16) * 257)
    late = stored[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + stored[-12:]
    text = f"\nexif\n{len(exif.tobytes()):8d}\n{exif.tobytes().hex()}\n".encode()
    raw = stored[:33] + chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)) + stored[33:]
    assert same(read_picture(late), pattern())
    assert same(read_picture(raw), pattern())


def test_cmyk_jpeg_comes_back_in_its_colours() -> None:
    red = read_picture(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100))
    assert np.abs(np.asarray(red, int) - [255, 0, 0]).max() <= 2


def test_sixteen_bits_are_scaled_not_cut() -> None:
    deep = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    read = np.asarray(read_picture(encoded(Image.fromarray(deep), "PNG")))
    assert read[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    assert (read[..., 0] == read[..., 2]).all()


def test_sixteen_bit_tiff() -> None:
    deep = np.full((4, 4), 65535, dtype=np.uint16)
    assert np.asarray(read_picture(encoded(Image.fromarray(deep), "TIFF"))).min() == 255


def test_floating_point_picture_is_refused() -> None:
    data = encoded(Image.fromarray(np.zeros((4, 4), dtype=np.float32)), "TIFF")
    with pytest.raises(PictureError, match="holds measurements, not colours"):
        read_picture(data)


def test_transparent_palette_lies_on_white() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 1), 1)
    read = read_picture(encoded(image, "PNG", transparency=0))
    assert read.getpixel((0, 0)) == (255, 255, 255)
    assert read.getpixel((1, 1)) == (200, 100, 50)


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (0, 0, 0, 128)), ("LA", (0, 128))])
def test_alpha_lies_on_white(mode: str, colour: tuple[int, ...]) -> None:
    assert read_picture(encoded(Image.new(mode, (4, 4), colour), "PNG")).getpixel((0, 0)) == (127, 127, 127)


@pytest.mark.parametrize(("mode", "colour", "expected"), [("L", 77, 77), ("1", 1, 255)])
def test_grey_and_bilevel(mode: str, colour: int, expected: int) -> None:
    assert read_picture(encoded(Image.new(mode, (4, 4), colour), "PNG")).getpixel((3, 3)) == (expected,) * 3


def test_embedded_profile_is_converted_to_srgb() -> None:
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    plain = encoded(pattern(), "PNG")
    assert same(read_picture(encoded(pattern(), "PNG", icc_profile=b"broken")), pattern())
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert same(read_picture(encoded(pattern(), "PNG", icc_profile=srgb)), pattern())
    assert read_picture(encoded(pattern(), "PNG", icc_profile=linear)).size == read_picture(plain).size


def test_wide_gamut_profile_changes_the_numbers() -> None:
    """A profile with red and green swapped must swap the channels: it is used, not ignored."""
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {}
    for i in range(struct.unpack(">I", srgb[128:132])[0]):
        tag, offset, size = struct.unpack(">4sII", srgb[132 + 12 * i : 144 + 12 * i])
        tags[tag] = (offset, size)
    red, green = (bytes(srgb[o : o + n]) for o, n in (tags[b"rXYZ"], tags[b"gXYZ"]))
    srgb[tags[b"rXYZ"][0] :][: len(green)] = green
    for tag, content in ((b"rXYZ", green), (b"gXYZ", red)):
        offset, size = tags[tag]
        srgb[offset : offset + size] = content
    offset, size = tags[b"desc"]
    srgb[offset : offset + size] = bytes(srgb[offset : offset + size]).replace(b"\0s\0R\0G\0B", b"\0s\0w\0a\0p")
    read = read_picture(encoded(Image.new("RGB", (4, 4), (200, 30, 60)), "PNG", icc_profile=bytes(srgb)))
    assert np.abs(np.asarray(read, int)[0, 0] - [30, 200, 60]).max() <= 2


def test_one_pixel() -> None:
    assert read_picture(encoded(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG")).getpixel((0, 0)) == (1, 2, 3)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_animation_is_refused_with_its_frame_count(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(PictureError, match="has 3 frames, expected a still picture"):
        read_picture(data)


def test_still_gif_is_read() -> None:
    assert read_picture(encoded(Image.new("RGB", (8, 8), "red"), "GIF")).getpixel((0, 0)) == (255, 0, 0)


def test_first_picture_of_a_phones_multi_picture_file() -> None:
    data = encoded(pattern(), "MPO", save_all=True, append_images=[Image.new("RGB", (4, 4))], quality=95)
    assert read_picture(data).size == pattern().size


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("kept", [0.3, 0.7])
def test_truncated_picture(tmp_path: Path, kind: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(PictureError, match=r"cut\.jpg' (is damaged or cut off|is not a picture)") as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises far more pixels than its few bytes hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8001, 12000, 50000])
def test_decompression_bomb_is_refused_from_its_header(side: int, recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(PictureError, match="at most 64 megapixels"):
        read_picture(bomb(side, side))
    assert not recwarn.list


def test_the_limit_is_the_callers() -> None:
    with pytest.raises(PictureError, match=r"12x8 pixels, at most 5e-05 megapixels"):
        read_picture(encoded(pattern(), "PNG"), max_megapixels=50 / 1e6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"empty \(0 bytes\), expected a picture"),
        (b"just some words\n", "is not a picture that can be read, expected one of PNG, JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture"),
        (b"\x89PNG\r\n\x1a\n", "is damaged or cut off"),
        (b"\xff\xd8\xff\xe0 nothing", "is damaged or cut off"),
        (b"MM\0*\0\0\0\x08 nothing", "is damaged or cut off"),
    ],
)
def test_files_that_are_no_pictures(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(PictureError, match=message) as caught:
            read_picture(source)
        assert "\n" not in str(caught.value)


def test_missing_folder_and_impossible_names(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"no picture at '.*nothing\.png'"):
        read_picture(tmp_path / "nothing.png")
    with pytest.raises(PictureError, match="is a folder, expected a picture file"):
        read_picture(tmp_path)
    for name in ("nul\0l.png", "x" * 5000):
        with pytest.raises(PictureError):
            read_picture(name)


def test_metadata_round_trip(tmp_path: Path) -> None:
    metadata = {"prompt": 'a "fox" <&> \x07 in the snow, Füchse, 狐', "software": "undrift 1", "turns": [{"seed": 3}]}
    path = tmp_path / "out.png"
    write_png(pattern(), path, metadata)
    assert read_metadata(path) == metadata
    assert read_metadata(path.read_bytes()) == metadata
    assert same(read_picture(path), pattern())
    with Image.open(path) as opened:
        xmp = ElementTree.fromstring(opened.info["XML:com.adobe.xmp"])
    assert xmp.findtext(".//{*}description//{*}li") == 'a "fox" <&>   in the snow, Füchse, 狐'
    assert xmp.findtext(".//{*}CreatorTool") == "undrift 1"


def test_png_bytes_are_the_same_every_time() -> None:
    assert png_bytes(pattern(), {"b": 1, "a": 2}) == png_bytes(pattern(), {"a": 2, "b": 1})


@pytest.mark.parametrize(
    ("text", "message"), [(None, "carries no undrift metadata"), ("[1", "damaged"), ("3", "damaged")]
)
def test_metadata_that_is_not_there(text: str | None, message: str) -> None:
    info = PngImagePlugin.PngInfo()
    if text is not None:
        info.add_itxt("undrift", text)
    with pytest.raises(PictureError, match=message):
        read_metadata(encoded(pattern(), "PNG", pnginfo=info))


@pytest.mark.parametrize("code", ["ENOSPC", "EROFS", "EDQUOT"])
@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, call: str) -> None:
    import errno

    number = getattr(errno, code)
    path = tmp_path / "out.png"
    path.write_bytes(b"before")

    def fail(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(SessionError, match=r"cannot write '.*out\.png': ") as caught:
        write_png(pattern(), path)
    assert os.strerror(number).lower() in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]
    assert path.read_bytes() == b"before"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file of Linux that has no end")
def test_a_file_that_the_system_does_not_read_is_refused_by_its_name() -> None:
    with pytest.raises(PictureError, match="cannot read '/proc/self/mem': invalid argument"):
        read_picture(Path("/proc/self/mem"))
