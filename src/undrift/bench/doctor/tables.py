"""Checks of the data sets that come as parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from undrift.bench.data import pie_pp
from undrift.bench.data.parquet import ParquetFile, parquet_files
from undrift.bench.data.pie import SIZE, strip_brackets
from undrift.bench.doctor.finding import (
    AGAIN,
    GET_ALL,
    Examined,
    Finding,
    check_blend,
    check_brackets,
    check_mask,
    check_type,
    check_unique,
)
from undrift.bench.doctor.pie import check_counts
from undrift.bench.suites import magicbrush, mse_bench
from undrift.bench.suites.magicbrush import MASK, SOURCE, TARGET
from undrift.errors import InputError, PictureError
from undrift.wording import problems

MSE_SESSIONS, MSE_TURNS = 100, 5
DEV_SESSIONS = 266


def examine_pie_pp(folder: Path, whole: bool) -> Examined:
    """PIE-Bench++."""
    files = list(pie_pp.type_files(folder))
    return f"{len(files)} files", _of_pie_pp(files, whole)


def examine_mse(path: Path, whole: bool) -> Examined:
    """MSE-Bench."""
    files = parquet_files(path, "train")
    return f"{len(files)} files", _of_mse(files, whole)


def examine_magicbrush(path: Path, whole: bool) -> Examined:
    """MagicBrush, whichever of its parts are there; counts are known of ``dev`` only."""
    files = parquet_files(path)
    return f"{len(files)} files", _of_magicbrush(files, whole)


def _of_pie_pp(files: Sequence[tuple[int, ParquetFile]], whole: bool) -> Iterator[Finding]:
    names: list[str] = []
    for kind, file in files:
        for place, where, row, found in _rows(file, pie_pp.PiePlusRow, pie_pp.COLUMNS, [pie_pp.IMAGE]):
            yield from found
            if row is not None:
                names.append(row.id)
                yield from check_picture(file, place, pie_pp.IMAGE, where, (SIZE, SIZE))
                yield from _of_pie_pp_row(row, kind)
    yield from check_unique(names, "id")
    if whole:
        yield from check_counts(names)


def _of_pie_pp_row(row: pie_pp.PiePlusRow, kind: int) -> Iterator[Finding]:
    yield from check_type(row.id, row.id, kind)
    for field in ("source_prompt", "target_prompt"):
        yield from check_brackets(row.id, field, getattr(row, field))
    source, target = strip_brackets(row.source_prompt), strip_brackets(row.target_prompt)
    for pair in row.blended_words:
        yield from check_blend(row.id, [word.strip() for word in pair.split(",")], source, target)
    yield from check_mask(row.id, row.mask)


def _of_mse(files: Sequence[ParquetFile], whole: bool) -> Iterator[Finding]:
    names: list[str] = []
    for file in files:
        for place, where, row, found in _rows(file, mse_bench.Session, mse_bench.COLUMNS, [mse_bench.IMAGE]):
            yield from found
            if row is not None:
                names.append(f"session {row.index}")
                yield from check_picture(file, place, mse_bench.IMAGE, where)
                if whole and len(row.context) != MSE_TURNS:
                    yield Finding(where, f"{len(row.context)} turns, expected {MSE_TURNS}", AGAIN)
    yield from check_unique(names, "index")
    if whole and len(names) != MSE_SESSIONS:
        yield Finding("MSE-Bench", f"{len(names)} sessions, expected {MSE_SESSIONS}", GET_ALL)


def _of_magicbrush(files: Sequence[ParquetFile], whole: bool) -> Iterator[Finding]:
    turns: dict[str, list[int]] = {}
    for file in files:
        for place, where, row, found in _rows(
            file, magicbrush.MagicBrushRow, magicbrush.COLUMNS, [SOURCE, MASK, TARGET]
        ):
            yield from found
            if row is not None:
                turns.setdefault(row.img_id, []).append(row.turn_index)
                yield from _of_magicbrush_pictures(file, place, where)
    for name, numbers in turns.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            yield Finding(name, f"turns {sorted(numbers)}, expected 1 to {len(numbers)}", GET_ALL)
    if whole and all("dev" in file.path.name for file in files) and len(turns) != DEV_SESSIONS:
        yield Finding("dev", f"{len(turns)} sessions, expected {DEV_SESSIONS}", GET_ALL)


def _of_magicbrush_pictures(file: ParquetFile, place: int, where: str) -> Iterator[Finding]:
    """Three pictures, and a mask that lets the editor work somewhere; the suite resizes what has another size."""
    broken = [finding for column in (SOURCE, TARGET, MASK) for finding in check_picture(file, place, column, where)]
    yield from broken
    if not broken and not magicbrush.region(file.picture_bytes(place, MASK)).any():
        yield Finding(where, f"{MASK} has no clear or white region", AGAIN)


def check_picture(
    file: ParquetFile, place: int, column: str, where: str, size: tuple[int, int] | None = None
) -> Iterator[Finding]:
    """A picture in a table can be read, and is of a size."""
    try:
        picture = file.picture(place, column)
    except PictureError as error:
        yield Finding(where, f"{column}: {error}", AGAIN)
        return
    if size is not None and picture.size != size:
        given, wanted = ("x".join(map(str, pair)) for pair in (picture.size, size))
        yield Finding(where, f"{column} has {given} pixels, expected {wanted}", AGAIN)


def _rows(
    file: ParquetFile, model: type[BaseModel], columns: Sequence[str], pictures: Sequence[str]
) -> Iterator[tuple[int, str, Any, list[Finding]]]:
    """Each row's number, name, checked content (None if it is wrong) and what is wrong with it."""
    try:
        rows = file.rows(columns, pictures)
    except InputError as error:
        said = str(error).removeprefix(f"'{file.path}' ")
        yield 0, file.path.name, None, [Finding(file.path.name, said, AGAIN)]
        return
    for place, raw in enumerate(rows):
        where = f"{file.path.parent.name}/{file.path.name}, row {place}"
        try:
            yield place, where, model.model_validate(raw), []
        except ValidationError as error:
            yield place, where, None, [Finding(where, said, AGAIN) for said in problems(error)]
