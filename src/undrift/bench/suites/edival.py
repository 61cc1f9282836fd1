"""EdiVal-Bench: 572 pictures of 512 x 512 with three instructions each.

PATH/oai_instruction_generation_output.csv           a row for each picture and turn; its lists hold all turns so far
PATH/input_images_resize_512/0_input_raw.jpg ...     or .png: the zip file unpacked

There are no captions: prompts are "a photo" and what was said so far, or those of a file ``captions.json``
(``undrift.bench.data.captions``). Its generator takes the seed 1234 in every turn.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from PIL import Image

from undrift.bench.case import Case, Task
from undrift.bench.data.captions import Captions, prompts, read_captions
from undrift.bench.suites.base import Suite
from undrift.errors import InputError
from undrift.pictures import read_picture

TABLE, PICTURES = "oai_instruction_generation_output.csv", "input_images_resize_512"
ENDINGS = (".jpg", ".png")
PHOTO, SEED = "a photo", 1234
COLUMNS = ("image_index", "turns", "task_type", "instructions")


class EdivalCase(Case):
    """A picture and its instructions; nobody knows the right pictures or where they change."""

    seed_step = 0

    def __init__(
        self, index: int, instructions: Sequence[str], kinds: Sequence[str], folder: Path, captions: Captions
    ) -> None:
        self.id, self.seed, self._folder = f"{index:03}", SEED, folder
        said = prompts(str(index), PHOTO, instructions, captions)
        self.tasks = tuple(
            Task(said[k], said[k + 1], kind, instruction)
            for k, (instruction, kind) in enumerate(zip(instructions, kinds, strict=True))
        )

    def original(self) -> Image.Image:
        stem = f"{int(self.id)}_input_raw"
        found = (self._folder / f"{stem}{ending}" for ending in ENDINGS)
        return read_picture(next((file for file in found if file.is_file()), self._folder / f"{stem}{ENDINGS[0]}"))


class Edival(Suite):
    """The data set ``C-Tianyu/EdiVal``, CC-BY-SA-4.0, with the table of ``TianyuCodings/EdiVal``."""

    name: ClassVar[str] = "edival"
    title: ClassVar[str] = "EdiVal-Bench (arXiv 2509.13399)"

    def cases(self) -> Sequence[Case]:
        folder, captions = self.data / PICTURES, read_captions(self.data, "image_index")
        last: dict[int, tuple[list[str], list[str]]] = {}
        for index, instructions, kinds in read_rows(self.data):
            if len(instructions) > len(last.get(index, ([], []))[0]):
                last[index] = instructions, kinds
        return [EdivalCase(index, *last[index], folder, captions) for index in sorted(last)]


def read_rows(data: Path) -> Iterator[tuple[int, list[str], list[str]]]:
    """Picture, instructions so far and their kinds, row after row.

    Raises:
        InputError: the table is missing, lacks a column, or a row is not what it should be.
    """
    file = data / TABLE
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        raise InputError(f"no EdiVal in '{data}', expected {TABLE} and {PICTURES}/") from None
    rows = csv.DictReader(text.splitlines(keepends=True))
    if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
        raise InputError(f"'{file}' has no column {missing[0]}, expected {', '.join(COLUMNS)}")
    for number, row in enumerate(rows, 1):
        try:
            instructions, kinds = _texts(row["instructions"]), _texts(row["task_type"])
            index, turns = int(row["image_index"]), int(row["turns"])
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            raise InputError(f"'{file}', row {number}: expected numbers and lists of texts") from None
        if index < 0 or not len(instructions) == len(kinds) == turns > 0:
            raise InputError(
                f"'{file}', row {number}: turn {turns} with {len(instructions)} instructions and {len(kinds)} kinds, "
                "expected all turns so far"
            )
        yield index, instructions, kinds


def _texts(value: str) -> list[str]:
    """A list of texts as Python writes it; some have stray quotes around them."""
    found = ast.literal_eval(value)
    if not isinstance(found, list) or not all(isinstance(text, str) and text.strip() for text in found):
        raise ValueError(value)
    return [text.strip().strip('"').strip() for text in found]
