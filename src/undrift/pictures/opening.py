"""Opening a picture's file: every way in which that can fail, in one line."""

from __future__ import annotations

import io
import logging
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from PIL import Image, UnidentifiedImageError

from undrift.errors import PictureError
from undrift.files import named, reason
from undrift.pictures import limits, tiff
from undrift.pictures.meter import Meter
from undrift.pictures.silence import no_stderr

logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it logs about files is for developers

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM", "JPEG2000")
"""What is read. A fixed list, because some of Pillow's other readers start programs (EPS runs Ghostscript)."""

Source = str | Path | bytes
"""A path, or a file's contents (an upload)."""

Check = Callable[[], None]
"""Called now and then during long work; raises to end it."""

_DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError),
    *(ArithmeticError, RuntimeError, AssertionError, struct.error, zlib.error),
)
"""What Pillow's readers raise on files that are broken."""

_BEGINNING = 32
"""Bytes by which Pillow tells formats apart, and some more."""

_HEADER = 2**16
"""Bytes in which what says how colours are coded is looked for."""

_TEXT_LIMIT = "MAX_TEXT_"
"""Begins the names of Pillow's limits on what a PNG carries besides its pixels, which its messages give."""


@dataclass(frozen=True)
class Opened:
    """A picture whose header was read and found acceptable; ``again`` reads the header anew.

    ``beginning`` has some of the file's first bytes.
    """

    image: Image.Image
    name: str
    again: Callable[[], Image.Image]
    beginning: bytes = b""


def name_of(source: Source, called: str = "") -> str:
    """How messages call a picture: by ``called``, where that says which file its contents are of."""
    if isinstance(source, bytes):
        return f"'{called}'" if called else "the picture"
    return f"'{source}'"


@contextmanager
def opened_picture(
    source: Source, max_megapixels: float, check: Check | None = None, called: str = ""
) -> Iterator[Opened]:
    """A still, whole picture of acceptable size, not decoded yet. Whatever fails in the block is told in one line.

    Args:
        source: where it is.
        max_megapixels: refuse pictures with more pixels than this many millions.
        check: called now and then while the file is read.
        called: as in ``name_of``.

    Raises:
        PictureError: missing, a folder, no regular file, empty, not a picture, animated, damaged, or too large.
    """
    name = name_of(source, called)
    with _metered(source, name, check) as meter, _quiet(), _told(meter, name, max_megapixels):
        with _open(meter) as image:
            limits.check_size(image.width, image.height, name, max_megapixels)
            meter.allow(image.width * image.height)
            limits.check_still(image, meter, name)
            limits.check_whole(image, meter, name)
        meter.seek(0)
        begins = meter.read(_HEADER)
        with _open(meter) as image, no_stderr() if image.format == "TIFF" else nullcontext():
            yield Opened(image, name, lambda: _open(meter), begins)


def _open(meter: Meter) -> Image.Image:
    meter.seek(0)
    Image.init()
    return Image.open(cast(BinaryIO, meter), formats=[name for name in FORMATS if name in Image.OPEN])


@contextmanager
def _metered(source: Source, name: str, check: Check | None) -> Iterator[Meter]:
    try:
        file: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else _existing(named(source), name)
        metered = Meter(file, name, check)
    except (OSError, ValueError) as error:
        raise PictureError(_unreadable(name, error)) from None
    with metered as meter:
        limits.check_file(meter.size, name)
        yield meter


def _existing(path: Path, name: str) -> BinaryIO:
    """A regular file: reading a pipe or a device could wait for ever."""
    if path.is_dir():
        raise PictureError(f"{name} is a folder, expected a picture file")
    if not path.exists():
        raise PictureError(f"no picture at {name}")
    if not stat.S_ISREG(path.stat().st_mode):
        raise PictureError(f"{name} is a pipe or a device, expected a picture file")
    return path.open("rb")


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow's warnings about files are for developers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _told(meter: Meter, name: str, max_megapixels: float) -> Iterator[None]:
    try:
        yield
    except Image.DecompressionBombError:
        most = min(max_megapixels, limits.MAX_MEGAPIXELS)
        raise PictureError(f"{name} has too many pixels, at most {most:g} megapixels are read") from None
    except UnidentifiedImageError:
        raise PictureError(_unknown(meter, name)) from None
    except MemoryError:
        raise PictureError(f"not enough memory to decode {name}") from None
    except _DAMAGE as error:
        raise PictureError(_unreadable(name, error)) from error


def _unknown(meter: Meter, name: str) -> str:
    if meter.size == 0:
        return f"{name} is empty (0 bytes), expected a picture"
    meter.seek(0)
    begins = meter.read(_BEGINNING)
    kind = next((kind for kind in FORMATS if kind in Image.OPEN and _begins(kind, begins)), None)
    if kind is None:
        return f"{name} is not a picture that can be read, expected one of {', '.join(FORMATS)}"
    layout = tiff.layout(cast(BinaryIO, meter)) if kind == "TIFF" else ""
    if layout:
        return f"{name} is a TIFF of {layout}, which is not read: save it as PNG, or with 8 or 16 bits of RGB"
    return f"{name} begins as {kind} does and is damaged or cut off, or of a kind that is not read: save it as PNG"


def _begins(kind: str, data: bytes) -> bool:
    """Whether Pillow takes what begins with ``data`` for a ``kind``."""
    accepts = Image.OPEN[kind][1]
    return accepts is not None and accepts(data) is True


def _unreadable(name: str, error: Exception) -> str:
    """The operating system's reason if it has one; everything else means that the contents are broken."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot read {name}: {reason(error)}"
    said = " ".join(str(error).split())
    if _TEXT_LIMIT in said:
        return f"{name} carries larger texts or colour profiles than are read: save it without metadata"
    return f"{name} is damaged or cut off" + (f": {said}" if said else "")
