"""Any depth brought to 8 bits a channel, with what is transparent as a channel of its own.

16 bits become 8 by v / 257, rounded; 12 bits by v 255 / 4095, rounded. Pillow cuts the low byte of colours off, so
both bytes are asked of it, one after the other. The numbers of white-is-zero pictures are turned over. A transparent
colour (PNG's tRNS) is compared at the depth of the file.

JPEG 2000 and AVIF of more than 8 bits are brought to 8 by their decoders, which may differ by one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from undrift.errors import PictureError
from undrift.pictures.opening import Opened

Samples = NDArray[np.uint16]
"""(height, width) or (height, width, channels), 0 to 65535."""

MOST = 65535
KEPT = ("icc_profile", "exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
"""What the file says that reading goes on with: colours, and which side is up. A PNG may say it behind its pixels."""

_DEEP = re.compile(r"(RGB|RGBX|RGBA|RGBa|CMYK);16([BLN])")
_DEEP_GREY = re.compile(r"LA;16([BLN])")
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_SMALL = {"1": 1, "L;2": 3, "L;4": 15}
"""Largest value of grey pixels of less than 8 bits, by how Pillow unpacks them."""

_WHITE_IS_ZERO, _PHOTOMETRIC = 0, 262
_ROWS = 512


def eight_bits(opened: Opened) -> Image.Image:
    """The decoded picture as L, LA, RGB, RGBA, CMYK or LAB, whatever it was, with the ``KEPT`` parts of its ``info``.

    Raises:
        PictureError: it holds floating-point numbers, negative ones or more than 16 bits: those are no colours.
    """
    image = opened.image
    rawmode = _rawmode(image)
    key = None if image.mode in ("P", "PA") else image.info.pop("transparency", None)
    if two := _DEEP_GREY.fullmatch(rawmode):
        made = _from_samples(_grey_and_alpha(image, two[1]), None)
    elif deep := _DEEP.fullmatch(rawmode):
        samples = _both_bytes(opened, *deep.groups())
        made = _from_samples(_in_rows(samples, _divided) if deep[1] == "RGBa" else samples, key)
        made = Image.frombytes("CMYK", made.size, made.tobytes()) if deep[1] == "CMYK" else made
    elif image.mode.startswith(("I", "F")):
        made = _from_samples(_grey(image, rawmode, opened.name), key)
    else:
        image.load()
        made = _plain(image, rawmode, key)
    made.info = {name: image.info[name] for name in KEPT if name in image.info}
    return made


def numbers(image: Image.Image) -> NDArray[Any] | None:
    """The values of a picture of measurements or of more than 8 grey bits, as they are; None of any other."""
    if not image.mode.startswith(("I", "F")):
        return None
    turned = _white_is_zero(image) and image.mode != "F"
    values = np.asarray(image)
    return MOST - values.astype(np.int64) if turned else values


def to_eight(samples: Samples) -> NDArray[np.uint8]:
    """v / 257, rounded."""
    eight: NDArray[np.uint8] = (samples // 257 + (samples % 257 > 128)).astype(np.uint8)
    return eight


def _rawmode(image: Image.Image) -> str:
    """How Pillow is about to unpack the file's pixels; empty where its decoder does not say."""
    tiles: Sequence[tuple[object, ...]] = getattr(image, "tile", [])
    args = tiles[0][3] if tiles else ""
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _unpacked(image: Image.Image, mode: str, rawmode: str) -> NDArray[np.uint8]:
    """The pixels of ``image`` as ``rawmode`` unpacks them."""
    image._mode = mode
    image.tile = [  # type: ignore[attr-defined]
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in image.tile  # type: ignore[attr-defined]
    ]
    return np.asarray(image)


def _both_bytes(opened: Opened, colours: str, order: str) -> Samples:
    """RGB, RGBA or CMYK of 16 bits: the file is decoded for its high bytes and once more for its low ones."""
    mode = {"RGBX": "RGB", "RGBa": "RGBA"}.get(colours, colours)
    unpack = "RGBA" if colours == "RGBa" else colours
    high = _unpacked(opened.image, mode, f"{unpack};16{order}")
    low = _unpacked(opened.again(), mode, f"{unpack};16{_OTHER_BYTE[order]}")
    samples = high.astype(np.uint16)
    samples *= 256
    samples += low
    return samples


def _grey_and_alpha(image: Image.Image, order: str) -> Samples:
    """LA of 16 bits: the four bytes of a pixel as they lie in the file, the high ones first if ``order`` is B."""
    four = _unpacked(image, "RGBA", "RGBA").astype(np.uint16)
    first = order == "B" or (order == "N" and sys.byteorder == "big")
    high, low = (four[..., ::2], four[..., 1::2]) if first else (four[..., 1::2], four[..., ::2])
    samples: Samples = high * 256 + low
    return samples


def _grey(image: Image.Image, rawmode: str, name: str) -> Samples:
    values = numbers(_loaded(image))
    assert values is not None  # its mode says so
    if image.mode == "F" or values.min() < 0 or values.max() > MOST:
        raise PictureError(f"{name} holds measurements, not colours (mode {image.mode}): save it with 8 or 16 bits")
    if rawmode == "I;12":
        return _in_rows(values, lambda part: (part.astype(np.uint32) * MOST + 2047) // 4095)
    return values.astype(np.uint16)


def _loaded(image: Image.Image) -> Image.Image:
    image.load()
    return image


def _white_is_zero(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _from_samples(samples: Samples, key: object) -> Image.Image:
    """Eight bits of ``samples``, with alpha 0 where they equal the transparent colour ``key``."""
    made = Image.fromarray(_in_rows(samples, to_eight, np.uint8))
    if key is None:
        return made
    colours = samples if samples.ndim == 3 else samples[..., None]
    _make_transparent(made, (colours == np.asarray(key, dtype=np.uint16).reshape(-1)).all(-1))
    return made


def _divided(samples: Samples) -> Samples:
    """Colours that were multiplied by their opacity, as they were before."""
    alpha = np.maximum(samples[..., 3:], 1).astype(np.uint32)
    colours = np.minimum((samples[..., :3].astype(np.uint32) * MOST + alpha // 2) // alpha, MOST)
    return np.concatenate([colours.astype(np.uint16), samples[..., 3:]], axis=-1)


def _plain(image: Image.Image, rawmode: str, key: object) -> Image.Image:
    """A picture of at most 8 bits in one of the modes that ``eight_bits`` gives."""
    mode = {"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB"}.get(
        image.mode, image.mode
    )
    if image.mode in ("P", "PA"):
        mode = "RGBA" if image.has_transparency_data else "RGB"
    made = image.convert(mode) if mode != image.mode else image
    if key is None or made.mode not in ("L", "RGB"):
        return made
    largest = _SMALL.get(rawmode, 255)
    wanted = [int(value) % (largest + 1) * (255 // largest) for value in np.asarray(key).reshape(-1)]
    pixels = np.asarray(made)
    matches = pixels == wanted[0] if made.mode == "L" else (pixels == np.asarray(wanted, np.uint8)).all(-1)
    made = made.copy()
    _make_transparent(made, matches)
    return made


def _make_transparent(image: Image.Image, where: NDArray[np.bool_]) -> None:
    image.putalpha(Image.fromarray(np.where(where, 0, 255).astype(np.uint8)))


def _in_rows(
    values: NDArray[Any],
    change: Callable[[NDArray[Any]], NDArray[Any]],
    kind: type[np.generic] = np.uint16,
) -> NDArray[Any]:
    """``change`` of some rows at a time, into ``kind``: intermediate results of a large picture are larger still."""
    changed = np.empty(values.shape, kind)
    for row in range(0, len(values), _ROWS):
        changed[row : row + _ROWS] = change(values[row : row + _ROWS])
    return changed
