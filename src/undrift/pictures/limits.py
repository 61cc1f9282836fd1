"""What is refused of a picture before it is decoded: too large, animated, cut off, or endless work."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, cast

import simplejpeg
from PIL import Image

from undrift.errors import PictureError
from undrift.pictures import tiff
from undrift.pictures.meter import Meter
from undrift.wording import size

MAX_MEGAPIXELS = 64.0
"""Larger pictures are refused from their header, before anything is decoded."""

MAX_SIDE = 65535
"""Pixels of a side, JPEG's own limit: each row costs memory besides its pixels."""

MAX_SCAN_MEGAPIXELS = 3000.0
"""Scans of a progressive JPEG times its megapixels: each scan, however short, goes over the whole picture."""

COUNTED_BYTES = 2**18
"""Frames are counted in smaller files only: finding out that there is a second one is enough to refuse a picture."""

PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Channels of a PNG's pixels by its colour type."""

PNG_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and steps between them, of the passes of an interlaced PNG (its specification, 8.2)."""

MAX_FILE = 640 * 2**20
"""Bytes of a picture's file: more than 64 megapixels of 16-bit RGBA take. Some decoders ask for all of it at once."""

MAX_JPEG = 256 * 2**20
"""Bytes of a JPEG: more than 64 megapixels take at the best quality."""

_DAMAGED = ("Corrupt JPEG data: ", "Premature end")
_EXTRANEOUS = "extraneous bytes"
"""How libjpeg-turbo's warnings of missing data begin; and of bytes between two parts, where nothing is missing."""

_INFLATED = 2**20
_COMPRESSED = 2**16
_TILE_WIDTH, _TILE_LENGTH, _TIFF_HEIGHT = 322, 323, 257
_BITS, _CHANNELS, _PLANAR, _SEPARATE = 258, 277, 284, 2
_COMPRESSION, _JPEG, _JPEG_TABLES = 259, 7, 347
_PARTS = ((273, 324), (279, 325))
"""Tags of a TIFF with the places and the sizes of its strips, or of its tiles."""


def check_size(width: int, height: int, name: str, max_megapixels: float) -> None:
    """Refuse more pixels than ``max_megapixels`` millions, or a side of more than ``MAX_SIDE``."""
    if width * height > max_megapixels * 1e6:
        raise PictureError(
            f"{name} has {width}x{height} pixels, at most {max_megapixels:g} megapixels are read: "
            "make it smaller first"
        )
    if max(width, height) > MAX_SIDE and max_megapixels < float("inf"):
        raise PictureError(f"{name} has {width}x{height} pixels, at most {MAX_SIDE} a side are read: crop it first")


def check_file(count: int, name: str) -> None:
    """Refuse a file of more than ``MAX_FILE`` bytes."""
    if count > MAX_FILE:
        raise PictureError(
            f"{name} has {size(count)}, pictures of at most {size(MAX_FILE)} are read: save it smaller"
        )


def check_still(opened: Image.Image, meter: Meter, name: str) -> None:
    """Refuse a picture of several frames or pages.

    A multi-picture JPEG (MPO: depth or HDR maps of phones) shows its first picture everywhere, and is still.
    """
    if opened.format == "MPO" or not getattr(opened, "is_animated", False):
        return
    count = opened.n_frames if meter.size <= COUNTED_BYTES else "many"  # type: ignore[attr-defined]
    raise PictureError(f"{name} has {count} frames, expected a still picture: save one frame and use that")


def check_whole(opened: Image.Image, meter: Meter, name: str) -> None:
    """Refuse a file whose decoder would leave rows empty without a word, or go over the picture endlessly."""
    if opened.format == "PNG":
        _check_png(meter, name)
    elif opened.format == "TIFF":
        _check_tiff(opened, meter, name)
    elif opened.format in ("JPEG", "MPO"):
        _check_jpeg(opened, meter, name)


def png_bytes_expected(width: int, height: int, bits: int, colour_type: int, interlaced: bool) -> int:
    """Bytes that the rows of a PNG have once they are inflated, the filter's byte before each included."""
    pixel = bits * PNG_CHANNELS.get(colour_type, 1)
    passes = PNG_PASSES if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = (max(0, -(-(side - first) // step)) for side, first, step in
                         ((width, left, across), (height, top, down)))  # fmt: skip
        total += rows * (1 + -(-columns * pixel // 8)) if columns else 0
    return total


def _check_png(meter: Meter, name: str) -> None:
    """Pillow takes a stream of pixels that ends in good order for a whole picture, however few rows it had."""
    expected = found = 0
    inflate = zlib.decompressobj()
    for kind, data in _png_chunks(meter):
        if kind == b"IHDR":
            width, height, bits, colour_type, _, _, interlaced = struct.unpack(">IIBBBBB", data)
            expected = png_bytes_expected(width, height, bits, colour_type, bool(interlaced))
        else:
            found += sum(len(part) for part in _inflated(inflate, data))
        if found >= expected:
            return
    raise PictureError(f"{name} is damaged or cut off: it ends after {found} of {expected} bytes of its rows")


def _png_chunks(meter: Meter) -> Iterator[tuple[bytes, bytes]]:
    """IHDR and the parts of IDAT, the latter in pieces."""
    meter.seek(8)
    while len(head := meter.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        after = meter.tell() + length + 4
        if kind == b"IHDR":
            yield kind, meter.read(length)[:13]
        elif kind == b"IDAT":
            while length > 0 and (part := meter.read(min(length, _COMPRESSED))):
                length -= len(part)
                yield kind, part
        meter.seek(after)


def _inflated(inflate: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    while data:
        yield inflate.decompress(data, _INFLATED)
        data = inflate.unconsumed_tail


def _check_tiff(opened: Image.Image, meter: Meter, name: str) -> None:
    """Strips that are missing stay black, and a tile may be far larger than the picture; strips may be JPEGs."""
    tags = opened.tag_v2  # type: ignore[attr-defined]
    width, length = tags.get(_TILE_WIDTH, 1), tags.get(_TILE_LENGTH, 1)
    if width * length > MAX_MEGAPIXELS * 1e6:
        raise PictureError(
            f"{name} has tiles of {width}x{length} pixels, at most {MAX_MEGAPIXELS:g} megapixels are read"
        )
    _check_planes(opened, meter, name)
    rows, expected = max((tile[1][3] for tile in opened.tile), default=0), tags[_TIFF_HEIGHT]  # type: ignore[attr-defined]
    if rows < expected:
        raise PictureError(f"{name} is damaged or cut off: it has {rows} of {expected} rows")
    if tags.get(_COMPRESSION) == _JPEG:
        for data in _jpegs(tags, meter):
            _check_scans(data, name)


def _check_planes(opened: Image.Image, meter: Meter, name: str) -> None:
    """Refuse channels that lie one after the other where Pillow takes their bytes for others: 16 bits, and opacity
    beside grey. A single channel is read wherever libtiff is the decoder.
    """
    tags = opened.tag_v2  # type: ignore[attr-defined]
    channels, deep = tags.get(_CHANNELS, 1), max(tags.get(_BITS, (1,))) > 8
    by_pillow = any(tile[0] == "raw" for tile in opened.tile)  # type: ignore[attr-defined]
    if tags.get(_PLANAR) == _SEPARATE and (channels == 2 or (deep and (channels > 1 or by_pillow))):
        layout = tiff.layout(cast(BinaryIO, meter))
        raise PictureError(
            f"{name} is a TIFF of {layout} in separate planes, which is not read: "
            "save it as PNG, or with 8 or 16 bits of RGB"
        )


def _jpegs(tags: Mapping[int, Any], meter: Meter) -> Iterator[bytes]:
    """The strips or tiles of a TIFF as JPEGs, with the tables that they share (TIFF Technical Note 2)."""
    tables: bytes = tags.get(_JPEG_TABLES, b"")
    offsets, counts = (tags.get(strips) or tags.get(tiles, ()) for strips, tiles in _PARTS)
    for offset, count in zip(offsets, counts, strict=False):
        meter.seek(offset)
        data = meter.read(min(count, MAX_JPEG))
        yield tables[:-2] + data[2:] if tables else data


def _check_jpeg(opened: Image.Image, meter: Meter, name: str) -> None:
    if meter.size > MAX_JPEG:
        raise PictureError(
            f"{name} has {size(meter.size)}, JPEGs of at most {size(MAX_JPEG)} are read: save it smaller"
        )
    meter.seek(0)
    data = meter.read()
    scans = data.count(b"\xff\xda")
    if scans * opened.width * opened.height > MAX_SCAN_MEGAPIXELS * 1e6:
        raise PictureError(f"{name} has {scans} scans, too many to read: save it again with a common program")
    _check_scans(data, name)


def _check_scans(data: bytes, name: str) -> None:
    """A decoder fills what is missing before a JPEG's end marker with grey, and Pillow's does so without a word.

    libjpeg-turbo tells it when it is asked to by itself; at an eighth of the size that costs little beside decoding.
    """
    small = {"fastdct": True, "fastupsample": True, "min_height": 1, "min_width": 1}
    try:
        colours = "CMYK" if simplejpeg.decode_jpeg_header(data)[2] in ("CMYK", "YCCK") else "GRAY"
        simplejpeg.decode_jpeg(data, colours, strict=True, **small)
    except ValueError as error:
        said = str(error)
        if said.startswith(_DAMAGED) and _EXTRANEOUS not in said:
            raise PictureError(f"{name} is damaged or cut off: {said.rpartition(': ')[2].lower()}") from None
