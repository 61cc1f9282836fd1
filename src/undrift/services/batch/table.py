"""The table of a batch: which pictures, and what is asked of each.

A CSV file has a header, and commas, semicolons or tabs between its cells. Its columns are ``picture``, ``prompt``,
``turn`` or ``turn1``, ``turn2`` and so on, and the options of ``Row`` by their names, ``params`` as JSON. A JSON
Lines file has one object a line with the same names, the turns as a list ``turns``. Files are named relative to the
table. All is checked here, before any work.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from undrift.errors import InputError
from undrift.files import named, open_regular, reason
from undrift.from_json import from_json
from undrift.instructions import TextForm
from undrift.session.seeds import SEEDS
from undrift.studio.session_folders import RESERVED
from undrift.wording import said

MAX_BYTES = 64 * 2**20
MAX_ROWS = 100_000
ENDINGS = (".csv", ".jsonl")
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9_-])?")
SEPARATORS = ",;\t"
"""What stands between the cells of a CSV file: spreadsheets write semicolons where commas are for decimals."""

_TURN = re.compile(r"turn ?(\d{0,4})")

Text = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")]
File = Annotated[str, Field(min_length=1, max_length=4000, pattern=r"^[^\x00]*$")]


class Row(BaseModel):
    """One row as it stands in the table.

    Attributes:
        picture: the picture's file.
        prompt: what it shows; empty takes what the picture's own metadata says, if anything.
        turns: instructions or captions, one after another.
        id: names the row's session and picture; None makes one of the row's number and the picture's name.
        read_as: "caption" or "instruction" for all turns; None has it found out.
        method, preset, dial, params: the editor; None takes the command's.
        seed: of every turn; None takes the command's.
        only, protect: mask files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    picture: File
    prompt: Text = ""
    turns: tuple[Text, ...] = Field(min_length=1, max_length=100)
    id: str | None = None
    read_as: TextForm | None = None
    method: str | None = None
    preset: str | None = None
    dial: float | None = Field(None, ge=-1, le=1)
    params: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = Field(None, ge=0, lt=SEEDS)
    only: File | None = None
    protect: File | None = None

    @field_validator("turns", mode="before")
    @classmethod
    def _said(cls, turns: Any) -> Any:
        if not isinstance(turns, list | tuple):
            raise ValueError('expected a list of texts, such as ["make the dog blue"]')
        if not turns:
            raise ValueError("none: say at least one, in a column turn or turn1, or in the list turns")
        if any(isinstance(turn, str) and not turn.strip() for turn in turns):
            raise ValueError("a turn is empty")
        return turns


@dataclass(frozen=True)
class Item:
    """A row that can be worked on.

    Attributes:
        id: unique in the table.
        row: what it says.
        folder: where its files are named from.
    """

    id: str
    row: Row
    folder: Path

    def file(self, name: str) -> Path:
        """A file of the row."""
        return self.folder / named(name)


def read_table(path: Path) -> list[Item]:
    """The rows of a table.

    Raises:
        InputError: no such file, of another kind, too large, empty, or a line that is no row; the message names it.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"'{path}' ends in '{path.suffix}', expected a table: {' or '.join(ENDINGS)}")
    text = _text(path)
    lines = _csv(text, path) if path.suffix.lower() == ".csv" else _json_lines(text, path)
    items: list[Item] = []
    taken: dict[str, int] = {}
    for line, values in lines:
        row = _row(values, path, line)
        name = row.id or f"{len(items) + 1:04}-{_plain(Path(row.picture).stem)}"
        if not NAME.fullmatch(name) or name.split(".")[0].lower() in RESERVED:
            raise InputError(
                f"'{path}' line {line}: id {name[:80]!a}: expected 1 to 80 letters, digits, '.', '-', '_',"
                " and no name that Windows keeps for a device"
            )
        if name.lower() in taken:
            raise InputError(f"'{path}' line {line}: id '{name}' is that of line {taken[name.lower()]}: give another")
        taken[name.lower()] = line
        items.append(Item(name, row, path.parent))
        if len(items) > MAX_ROWS:
            raise InputError(f"'{path}' has more than {MAX_ROWS} rows: split it")
    if not items:
        raise InputError(f"'{path}' has no rows")
    return items


def _text(path: Path) -> str:
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read the table '{path}': {why}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"'{path}' has more than {MAX_BYTES // 2**20} MB: split it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not UTF-8 text, at byte {error.start}") from None


def _json_lines(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = from_json(line, unique=True)
        except ValueError:
            raise InputError(f"'{path}' line {number} is not JSON, or has a name twice") from None
        if not isinstance(value, dict):
            raise InputError(f"'{path}' line {number}: expected an object with picture and turns")
        yield number, value


def _csv(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=_separator(text))
    try:
        header = [name.strip().lower() for name in reader.fieldnames or ()]
        if len(set(header)) < len(header):
            raise InputError(f"'{path}': two columns have one name")
        if header and "picture" not in header:
            columns = ", ".join(header)[:200]
            raise InputError(
                f"'{path}' has no column 'picture', expected a header with it; its columns are {columns!a}"
            )
        reader.fieldnames = header
        for cells in reader:
            if None in cells or None in cells.values():
                raise InputError(f"'{path}' line {reader.line_num}: expected {len(header)} cells, as in the header")
            if any(value.strip() for value in cells.values()):
                yield reader.line_num, _cells(cells, path, reader.line_num)
    except csv.Error as error:
        raise InputError(f"'{path}' line {reader.line_num} is not CSV: {error}") from None


def _separator(text: str) -> str:
    """What the header has most of."""
    header = text.partition("\n")[0]
    return max(SEPARATORS, key=header.count)


def _cells(cells: Mapping[str, str], path: Path, line: int) -> dict[str, Any]:
    """The cells of a line as a row's values: those that are empty say nothing."""
    filled = {name: cell.strip() for name, cell in cells.items() if cell.strip()}
    numbered = [(int(found[1] or 0), filled.pop(name)) for name in list(filled) if (found := _TURN.fullmatch(name))]
    turns = dict(numbered)
    if len(turns) < len(numbered):
        raise InputError(f"'{path}' line {line}: two columns are for one turn")
    values: dict[str, Any] = {**filled, "turns": [turns[number] for number in sorted(turns)]}
    try:
        return values | {
            name: from_json(filled[name], unique=True) for name in ("params", "dial", "seed") if name in filled
        }
    except ValueError:
        raise InputError(f"'{path}' line {line}: params has to be JSON, dial and seed numbers") from None


def _row(values: Mapping[str, Any], path: Path, line: int) -> Row:
    try:
        return Row.model_validate({str(name).lower(): value for name, value in values.items()})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        known = f"; known: {', '.join(Row.model_fields)}" if first["type"] == "extra_forbidden" else ""
        raise InputError(f"'{path}' line {line}: {where}: {said(first['msg'])}{known}") from None


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "picture"
