"""Layouts of TIFF that Pillow can decode and does not list, and what to call those that it cannot.

Pillow knows a TIFF by its byte order, what its numbers mean, their bits and channels. Of some layouts it lists one
byte order only, or 8 bits only, though it has all that is needed to decode the others.
"""

from __future__ import annotations

from contextlib import suppress
from typing import BinaryIO

from PIL.TiffImagePlugin import II, MM, OPEN_INFO, ImageFileDirectory_v2

_LITTLE, _BIG = II, MM
_WIDTH, _BITS, _PHOTOMETRIC, _CHANNELS, _FORMAT = 256, 258, 262, 277, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_UNSIGNED, _OPACITY = (1,), (2,)
_KINDS = {1: "", 2: " signed", 3: " floating-point"}

# The order of its bytes, what 0 means, the kind of its numbers, the order of bits, bits, extra channels.
OPEN_INFO.update(
    {
        (_BIG, _WHITE_IS_ZERO, _UNSIGNED, 1, (16,), ()): ("I;16B", "I;16B"),
        # Numbers of 12 bits are packed from the highest bit on, whatever the order of bytes (TIFF 6.0, FillOrder).
        (_BIG, _BLACK_IS_ZERO, _UNSIGNED, 1, (12,), ()): ("I;16", "I;12"),
        (_BIG, _BLACK_IS_ZERO, _UNSIGNED, 1, (16, 16), _OPACITY): ("LA", "LA;16B"),
        (_LITTLE, _BLACK_IS_ZERO, _UNSIGNED, 1, (16, 16), _OPACITY): ("LA", "LA;16L"),
    }
)


def layout(file: BinaryIO) -> str:
    """How the TIFF in ``file`` stores its pixels, such as "3 channels of 32 bits"; empty if it does not say so."""
    with suppress(Exception):  # whatever the tags of a damaged file make their parser raise
        file.seek(0)
        tags = ImageFileDirectory_v2(file.read(8))
        file.seek(tags.next)
        tags.load(file)
        if _WIDTH not in tags:
            return ""
        bits = "/".join(map(str, sorted(set(tags.get(_BITS, (1,))))))
        channels = int(tags.get(_CHANNELS, 1))
        kind = _KINDS.get(max(tags.get(_FORMAT, _UNSIGNED)), " unknown")
        inverted = ", white being 0" if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else ""
        return f"{channels} channel{'s' * (channels != 1)} of {bits}{kind} bits{inverted}"
    return ""
