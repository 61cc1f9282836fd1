"""JSON that comes from elsewhere."""

from __future__ import annotations

import json
from typing import Any


def from_json(text: str | bytes, *, unique: bool = False) -> Any:
    """The value of a JSON text.

    Args:
        text: UTF-8 where it is bytes.
        unique: refuse an object that has a name twice, of which a value would be lost; readers differ in which.

    Raises:
        ValueError: it is none, no UTF-8, or nested more deeply than can be read.
    """
    try:
        return json.loads(text, object_pairs_hook=_each_once if unique else None)
    except RecursionError:
        raise ValueError("nested too deeply for JSON") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name occurs twice in one object")
    return made
