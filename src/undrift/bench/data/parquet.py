"""Parquet files as the Hugging Face hub stores data sets: text columns, and pictures as {bytes, path}."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from PIL import Image

from undrift.bench.data.optional import needed
from undrift.errors import InputError, PictureError
from undrift.pictures import read_picture

CACHED_COLUMNS = 4
"""Column chunks of pictures in memory: a case asks for the same ones in a row."""


@dataclass(frozen=True)
class ParquetFile:
    """A file of rows; pictures stay on disk until they are asked for."""

    path: Path

    def rows(self, columns: Sequence[str], pictures: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The text ``columns`` of every row.

        Args:
            columns: to read.
            pictures: further columns that the file has to have.

        Raises:
            InputError: no parquet file, or a column is missing.
        """
        missing = sorted({*columns, *pictures} - self.columns)
        if missing:
            raise InputError(f"'{self.path}' lacks the column {missing[0]}; it has {', '.join(sorted(self.columns))}")
        return list(_checked(self.path, lambda file: file.read(columns=list(columns)).to_pylist()))

    def picture(self, row: int, column: str) -> Image.Image:
        """The picture in a row, RGB.

        Raises:
            PictureError: there is none, or it is damaged.
        """
        return read_picture(self.picture_bytes(row, column))

    def picture_bytes(self, row: int, column: str) -> bytes:
        """The file of a picture in a row: kept in the table, or named by it and beside it."""
        group = bisect_right(self._starts, row) - 1
        cell = _column(self.path, group, column)[row - self._starts[group]].as_py() or {}
        if cell.get("bytes"):
            return bytes(cell["bytes"])
        return self._file_beside(cell.get("path"), column)

    def _file_beside(self, name: str | None, column: str) -> bytes:
        folder = self.path.parent
        file = folder / name if name and "\0" not in name else folder
        if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
            raise PictureError(f"no picture in column {column} of '{self.path}', and none at '{name}' beside it")
        return file.read_bytes()

    @cached_property
    def columns(self) -> frozenset[str]:
        """The names of all columns."""
        return frozenset(_checked(self.path, lambda file: file.schema_arrow.names))

    @cached_property
    def _starts(self) -> list[int]:
        """First row of each row group."""
        sizes = _checked(self.path, _group_sizes)
        return list(accumulate(sizes, initial=0))


def parquet_files(path: Path, split: str = "") -> list[ParquetFile]:
    """The parquet files at ``path``: itself, or those below the folder, of one split if that is given, in order.

    Splits are told as the hub does: in the file's name ("train-00000-of-00031-....parquet") or its folder's.
    """
    if path.is_file():
        return [ParquetFile(path)]
    found = sorted(path.rglob("*.parquet"))
    return [ParquetFile(f) for f in found if f.name.startswith(split) or f.parent.name.endswith(split)]


def _checked(path: Path, read: Any) -> Any:
    parquet = needed("pyarrow.parquet", "pyarrow", "reading parquet files")
    arrow = needed("pyarrow", "pyarrow", "reading parquet files")
    try:
        with parquet.ParquetFile(path) as file:
            return read(file)
    except (arrow.ArrowException, OSError) as error:
        raise InputError(f"'{path}' is no readable parquet file: {str(error).splitlines()[0]}") from None


def _group_sizes(file: Any) -> list[int]:
    return [file.metadata.row_group(n).num_rows for n in range(file.metadata.num_row_groups)]


@lru_cache(maxsize=CACHED_COLUMNS)
def _column(path: Path, group: int, column: str) -> Any:
    return _checked(path, lambda file: file.read_row_group(group, columns=[column]).column(0))
