"""ICC profiles written by hand from what they are to say (ICC.1:2022), for files in which colours are known."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
_TO_D50 = np.array(
    [[1.0478112, 0.0228866, -0.0501270], [0.0295424, 0.9904844, -0.0170491], [-0.0092345, 0.0150436, 0.7521316]]
)
"""Bradford's adaptation from D65 (Lindbloom)."""

PRIMARIES: Mapping[str, Sequence[tuple[float, float]]] = {
    "sRGB": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "Display P3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "Adobe RGB": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    "ProPhoto": ((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105)),
}
"""Chromaticities of red, green and blue: IEC 61966-2-1, SMPTE EG 432-1, Adobe RGB (1998), ISO 22028-2."""

SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def rgb_profile(primaries: str, curve: float | Sequence[float], name: str) -> bytes:
    """A display profile: ``primaries`` of D65 (ProPhoto: of D50), one curve for all channels, and a name."""
    tags = {f"{colour}TRC".encode(): _curve(curve) for colour in "rgb"}
    for colour, column in zip("rgb", _columns(primaries).T, strict=True):
        tags[f"{colour}XYZ".encode()] = _xyz(column)
    return _profile(b"RGB ", {**tags, b"wtpt": _xyz(D50), b"desc": _text(name), b"cprt": _text("none")})


def grey_profile(curve: float | Sequence[float], name: str) -> bytes:
    """A profile of grey."""
    return _profile(
        b"GRAY", {b"kTRC": _curve(curve), b"wtpt": _xyz(D50), b"desc": _text(name), b"cprt": _text("none")}
    )


def _columns(primaries: str) -> np.ndarray:
    """Red, green and blue in XYZ under D50, as columns."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in PRIMARIES[primaries]]).T
    white = np.array(D50 if primaries == "ProPhoto" else (0.95047, 1.0, 1.08883))
    columns = xyz * np.linalg.solve(xyz, white)
    return columns if primaries == "ProPhoto" else _TO_D50 @ columns


def _profile(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    start = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, start + len(data), len(content))
        data += content + b"\0" * (-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s12x4s", start + len(data), b"none", 0x04200000, b"mntr", space, b"XYZ ", b"acsp")
    return head + b"\0" * (68 - len(head)) + _fixed(D50) + b"\0" * 48 + table + data


def _fixed(values: Sequence[float]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _curve(curve: float | Sequence[float]) -> bytes:
    """A gamma, or the five numbers of a curve with a straight part near black."""
    numbers = (curve,) if isinstance(curve, (int, float)) else tuple(curve)
    return struct.pack(">4s4xH2x", b"para", 0 if len(numbers) == 1 else 3) + _fixed(numbers)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(encoded), 28) + encoded
