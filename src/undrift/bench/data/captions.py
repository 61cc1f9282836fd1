"""Prompts for data sets that have instructions and no captions: a file of captions beside the data, or what was said.

``captions.json`` is an object of ``{id: [caption of the original, after turn 1, after turn 2, ...]}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from undrift.errors import InputError
from undrift.from_json import from_json

CAPTIONS = "captions.json"

Captions = Mapping[str, Sequence[str]]


def read_captions(data: Path, ids: str = "id") -> Captions:
    """The captions in `CAPTIONS` in the data's folder or the one above; empty if there is no such file.

    Args:
        data: a folder, or a file in it.
        ids: what the data set calls its ids, for the message.

    Raises:
        InputError: the file is not what it should be.
    """
    folder = data if data.is_dir() else data.parent
    for file in (folder / CAPTIONS, folder.parent / CAPTIONS):
        if file.is_file():
            try:
                return {
                    str(name): [str(text) for text in texts] for name, texts in from_json(file.read_bytes()).items()
                }
            except (ValueError, AttributeError, TypeError):
                raise InputError(f"'{file}' is not an object of lists of captions by {ids}") from None
    return {}


def prompts(name: str, original: str, instructions: Sequence[str], captions: Captions) -> Sequence[str]:
    """What the pictures of a session show, the original first: its captions, else ``original`` and what was said.

    Raises:
        InputError: the file of captions has another number of them.
    """
    if name not in captions:
        done = [instruction.rstrip(". ") for instruction in instructions]
        return [", ".join([original, *done[:k]]) for k in range(len(instructions) + 1)]
    if len(captions[name]) != len(instructions) + 1:
        raise InputError(f"{CAPTIONS} has {len(captions[name])} captions of {name}, expected {len(instructions) + 1}")
    return captions[name]
