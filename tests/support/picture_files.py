"""Picture files written byte by byte: what Pillow cannot save, and what it is not to believe."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
Order = Literal["<", ">"]
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """``image`` as Pillow saves it."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG's chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_rows(
    size: tuple[int, int], bits: int, colour: int, rows: bytes, before: Sequence[bytes] = (), interlaced: bool = False
) -> bytes:
    """A PNG with the chunks ``before`` its pixels; ``rows`` has each row's filter byte."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, interlaced))
    return PNG_SIGNATURE + header + b"".join(before) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png16(values: np.ndarray, before: Sequence[bytes] = ()) -> bytes:
    """A PNG of 16 bits a channel; ``values`` is (height, width) or (height, width, 2 to 4)."""
    channels = values.shape[2] if values.ndim == 3 else 1
    colour = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGBA}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png_of_rows((values.shape[1], values.shape[0]), 16, colour, rows, before)


def tiff(
    values: np.ndarray, photometric: int, extra: Mapping[int, Sequence[int]] | None = None, order: Order = "<"
) -> bytes:
    """An uncompressed TIFF of ``values``: (height, width) or (height, width, channels); ``extra`` tags are shorts."""
    channels = values.shape[2] if values.ndim == 3 else 1
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    tags: dict[int, Sequence[int]] = {
        256: [values.shape[1]],
        257: [values.shape[0]],
        258: [8 * values.dtype.itemsize] * channels,
        259: [1],
        262: [photometric],
        277: [channels],
        278: [values.shape[0]],
        **(extra or {}),
    }
    count = len(tags) + 2
    spare = 8 + 2 + 12 * count + 4
    entries, beyond = [], b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}H", *numbers)
        if len(packed) > 4:
            where = struct.pack(f"{order}I", spare + len(beyond))
            beyond += packed
        else:
            where = packed.ljust(4, b"\0")
        entries.append((tag, struct.pack(f"{order}HHI", tag, 3, len(numbers)) + where))
    at = spare + len(beyond)
    entries += [(tag, struct.pack(f"{order}HHII", tag, 4, 1, value)) for tag, value in ((273, at), (279, len(data)))]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return (
        head
        + struct.pack(f"{order}H", count)
        + b"".join(entry for _, entry in sorted(entries))
        + b"\0\0\0\0"
        + beyond
        + data
    )


def tiff_of_pages(count: int) -> bytes:
    """A TIFF whose directories, each of one grey pixel, follow one another."""
    size = 2 + 8 * 12 + 4
    entries = ((256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 4), (278, 1), (279, 1))
    page = struct.pack("<H", 8) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    pages = (page + struct.pack("<I", 8 + size * (n + 1) if n + 1 < count else 0) for n in range(count))
    return b"II*\0" + struct.pack("<I", 8) + b"".join(pages)
