"""``--words``: the words of a prompt that steer where an edit acts."""

from __future__ import annotations

from contextlib import suppress

from undrift.from_json import from_json


def parse_words(text: str | None) -> tuple[str, ...] | None:
    """``"red, hat"`` as ("red", "hat"), and so is the JSON list ``["red", "hat"]``; None for the words that differ.

    Those are meant by ``null``, too; an empty text, commas alone and ``[]`` are no word at all.
    """
    if text is None:
        return None
    with suppress(ValueError):
        listed = from_json(text)
        if listed is None:
            return None
        if isinstance(listed, list) and all(isinstance(word, str) for word in listed):
            return tuple(listed)
    return tuple(word.strip() for word in text.split(",") if word.strip())
