"""What undrift recorded in a picture."""

from __future__ import annotations

import json
from typing import Any

from undrift.errors import PictureError
from undrift.from_json import from_json
from undrift.pictures.opening import Source, name_of, opened_picture
from undrift.pictures.writing import METADATA_KEY


class NoMetadataError(PictureError):
    """A picture that can be read, and in which undrift recorded nothing."""


def read_metadata(source: Source) -> dict[str, Any]:
    """What ``png_bytes`` recorded in a picture.

    Raises:
        NoMetadataError: it is not one of undrift's, or its metadata was stripped.
        PictureError: not a readable picture, or its metadata is damaged.
    """
    name = name_of(source)
    with opened_picture(source, float("inf")) as opened:
        text = opened.image.info.get(METADATA_KEY)
    if not isinstance(text, str):
        raise NoMetadataError(
            f"{name} carries no undrift metadata: not made by undrift, or another program removed it"
        )
    try:
        value = from_json(text, unique=True)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # no JSON, or with what is no number or no text
        value = None
    if not isinstance(value, dict):
        raise PictureError(f"the undrift metadata in {name} is damaged")
    return value
