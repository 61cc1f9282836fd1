"""A file that is read for a limited number of bytes and seconds, whatever its contents make a decoder do.

Most of Pillow's parsing, and all of its loops over pages, chunks and comments, asks the file for its next bytes in
Python. What they cost is therefore counted here, once for all formats.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import BinaryIO

from undrift.errors import PictureError

SECONDS = 3.0
"""Processor time for one picture of any size, which is endless for a header."""

SECONDS_PER_MEGAPIXEL = 0.15
"""Added once the size is known. PNGs of 16-bit RGBA, the slowest that are read, take 0.09 s on one core of 2026."""

TIMES_OVER = 6
"""How often a file may be read: its size, its rows, its two halves of 16 bits, and room for seeking."""

SPARE_BYTES = 2**20
_EVERY_READS = 256
_EVERY_BYTES = 2**16


class Meter(io.RawIOBase):
    """``file``, counted.

    Args:
        file: seekable; closed with the meter.
        name: of the picture, for messages.
        check: called now and then while it is read; what it raises ends the reading (a cancelled job).

    Raises:
        OSError: the file, which is closed, has no end.
        PictureError: on reading, once more than ``TIMES_OVER`` the file's size was read, or this thread has spent the
            allowed processor time since the meter was made.
    """

    def __init__(self, file: BinaryIO, name: str, check: Callable[[], None] | None = None) -> None:
        try:
            self.size = file.seek(0, io.SEEK_END)
            file.seek(0)
        except OSError:
            file.close()
            raise
        self._file = file
        self._name = name
        self._check = check
        self._end = time.thread_time() + SECONDS
        self._left = TIMES_OVER * self.size + SPARE_BYTES
        self._reads = self._bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = self._file.read(-1 if size is None else size)
        self._left -= len(data)
        self._reads += 1
        self._bytes += len(data)
        if self._reads >= _EVERY_READS or self._bytes >= _EVERY_BYTES or self._left < 0:
            self._reads = self._bytes = 0
            self._stop_if_over()
        return data

    def allow(self, pixels: int) -> None:
        """Take a picture's size into account."""
        self._end += SECONDS_PER_MEGAPIXEL * pixels / 1e6

    def _stop_if_over(self) -> None:
        if self._check is not None:
            self._check()
        if time.thread_time() > self._end or self._left < 0:
            raise PictureError(f"{self._name} takes too much work to read: save it again with a common program")

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
