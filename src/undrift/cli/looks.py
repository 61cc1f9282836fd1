"""``--reference``: pictures whose look a turn is to take on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from undrift.errors import InputError
from undrift.files import named as file_named
from undrift.pictures import open_mask, read_picture
from undrift.session.references import Look, is_sheet, looks_of, sheet_of

WEIGHT = 0.7
"""Of a reference that is given none."""


class Named(NamedTuple):
    """``PICTURE[:WEIGHT[:MASK]]``, taken apart; None where it says nothing."""

    picture: Path
    weight: float | None
    mask: Path | None


def looks_for(texts: Sequence[str], size: tuple[int, int]) -> tuple[Look, ...]:
    """The references that ``--reference`` names, for a session of pictures of ``size``.

    Raises:
        InputError: one that a turn cannot take, see ``undrift.session.references``.
        PictureError: a file is none.
    """
    looks = tuple(look for text in texts for look in _looks(named(text), size))
    sheet_of(looks, size)  # refuses what a turn cannot take, before there is one
    return looks


def named(text: str) -> Named:
    """The parts of ``text``; a file may have colons in its name, and the first number behind one is the weight."""
    parts = text.split(":")
    for place in range(1, len(parts)):
        weight = _number(parts[place])
        if weight is not None and not file_named(text).exists():
            mask = ":".join(parts[place + 1 :])
            return Named(file_named(":".join(parts[:place])), weight, file_named(mask) if mask else None)
    return Named(file_named(text), None, None)


def _looks(given: Named, size: tuple[int, int]) -> tuple[Look, ...]:
    picture = read_picture(given.picture)
    if picture.size != size and is_sheet(picture.size, size):
        if given.weight is not None:
            raise InputError(f"'{given.picture}' holds references with their weights: give it without one")
        return looks_of(picture, size)
    return (Look(picture, WEIGHT if given.weight is None else given.weight, _mask(given.mask)),)


def _mask(path: Path | None) -> Image.Image | None:
    return None if path is None else open_mask(path).image


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
