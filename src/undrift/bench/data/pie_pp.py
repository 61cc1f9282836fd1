"""PIE-Bench++: the pictures of PIE-Bench with rewritten prompts that change several things at once (NeurIPS 2024).

Ten parquet files, ``<type folder>/V1-00000-of-00001.parquet``; every column but the picture is a string.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from undrift.bench.data.parquet import ParquetFile, parquet_files
from undrift.bench.data.pie import (
    SIZE,
    TYPES,
    CaseId,
    PieEntry,
    RunLengths,
    Text,
    marked_parts,
    strip_brackets,
    type_folder,
    wrong_size,
)
from undrift.errors import InputError, PictureError
from undrift.from_json import from_json
from undrift.wording import problem

COLUMNS = ("id", "source_prompt", "target_prompt", "edit_action", "aspect_mapping", "blended_words", "mask")
IMAGE = "image"


class Action(BaseModel):
    """What happens to a phrase: "+" adds it, "-" removes it, anything else is the phrase that it replaces."""

    model_config = ConfigDict(frozen=True)

    position: int
    edit_type: int
    action: str


class PiePlusRow(BaseModel):
    """A row without its picture."""

    model_config = ConfigDict(frozen=True)

    id: CaseId
    source_prompt: Text
    target_prompt: Text
    edit_action: Annotated[dict[str, Action], BeforeValidator(lambda text: _literal(text))]
    blended_words: Annotated[tuple[str, ...], BeforeValidator(lambda text: _literal(text))]
    mask: Annotated[RunLengths, BeforeValidator(lambda text: text.split() if isinstance(text, str) else text)]


def read_entries(folder: Path) -> list[PieEntry]:
    """The pictures with their edits, in the order of their ids.

    Raises:
        InputError: no such files, or a row is not what it should be.
    """
    entries = [entry for number, file in type_files(folder) for entry in _entries(number, file)]
    if not entries:
        raise InputError(
            f"no PIE-Bench++ in '{folder}', expected {type_folder(0)}/V1-00000-of-00001.parquet and so on"
        )
    return sorted(entries, key=lambda entry: entry.id)


def type_files(folder: Path) -> Iterator[tuple[int, ParquetFile]]:
    """The parquet files of a folder with their types; both of the hub's layouts (V1-....parquet, V1/0000.parquet)."""
    for number in TYPES:
        if (folder / type_folder(number)).is_dir():
            for file in parquet_files(folder / type_folder(number), "V1"):
                yield number, file


def described(actions: Mapping[str, Action]) -> str:
    """The actions as one instruction, such as "replace cat with dog, add red"."""
    return ", ".join(_clause(phrase, action.action.strip()) for phrase, action in actions.items())


def _clause(phrase: str, action: str) -> str:
    if action in ("+", "-"):
        return f"{'add' if action == '+' else 'remove'} {phrase}"
    return f"replace {action} with {phrase}"


def _entries(number: int, file: ParquetFile) -> Iterator[PieEntry]:
    for place, raw in enumerate(file.rows(COLUMNS, [IMAGE])):
        try:
            row = PiePlusRow.model_validate(raw)
        except ValidationError as error:
            raise InputError(f"'{file.path}', row {place} ({raw['id']}): {problem(error)}") from None
        pairs = [pair.partition(",") for pair in row.blended_words]
        yield PieEntry(
            id=row.id,
            type=number,
            image_path=f"{type_folder(number)}/{row.id}.jpg",
            source_prompt=strip_brackets(row.source_prompt),
            target_prompt=strip_brackets(row.target_prompt),
            marked=marked_parts(row.target_prompt),
            instruction=described(row.edit_action) or None,
            blended=tuple(word.strip() for source, _, target in pairs for word in (source, target)),
            runs=row.mask,
            picture=partial(_picture, file, place, row.id),
        )


def _picture(file: ParquetFile, place: int, name: str) -> Image.Image:
    picture = file.picture(place, IMAGE)
    if picture.size != (SIZE, SIZE):
        raise PictureError(wrong_size(f"{name} in '{file.path}'", picture))
    return picture


def _literal(text: Any) -> Any:
    """JSON, or what Python prints for the same; nothing counts as empty."""
    if not isinstance(text, str):
        return text
    for read in (from_json, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    if not text.strip():
        return {}
    raise ValueError(f"no JSON: {text[:40]}")
