"""MagicBrush: real pictures edited by people over one to three turns, with the right picture of every turn.

Parquet files ``data/dev-*.parquet`` and ``data/train-*.parquet``, one row a turn, pictures of any size.

It has instructions but no captions. Prompts are therefore "a photo" for the original, and "a photo, ", then the
instructions so far with commas, for the turns. With a file ``captions.json`` beside the data, an object of
``{img_id: [caption of the original, after turn 1, after turn 2, ...]}``, the captions are the prompts instead.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from undrift.bench.case import Case, Mask, Task
from undrift.bench.data.captions import Captions, prompts, read_captions
from undrift.bench.data.parquet import ParquetFile, parquet_files
from undrift.bench.data.pie import CaseId, Text
from undrift.bench.suites.base import Suite
from undrift.errors import InputError
from undrift.pictures import read_picture
from undrift.wording import problem

log = logging.getLogger(__name__)

COLUMNS = ("img_id", "turn_index", "instruction")
SOURCE, MASK, TARGET = "source_img", "mask_img", "target_img"
PHOTO = "a photo"
EDIT_TYPE = "edit"
WHITE = 250


class MagicBrushRow(BaseModel):
    """One turn without its pictures.

    Attributes:
        img_id: of the picture in COCO.
        turn_index: from 1.
        instruction: the edit.
    """

    model_config = ConfigDict(frozen=True)

    img_id: CaseId
    turn_index: Annotated[int, Field(ge=1)]
    instruction: Text


@dataclass(frozen=True)
class MagicBrushTurn:
    """One turn and where its pictures are."""

    row: MagicBrushRow
    file: ParquetFile
    place: int

    def picture(self, column: str) -> Image.Image:
        """Its picture in a column."""
        return self.file.picture(self.place, column)


class MagicBrushCase(Case):
    """A session; truth is what people made, the mask is where they let the editor work.

    Some masks and targets are published in another size than the original. They are resized to it as a whole, targets
    with Pillow's usual filter, as the data set's own evaluation resizes what it compares (evaluation/image_eval.py),
    masks to the nearest pixel.
    """

    def __init__(self, turns: Sequence[MagicBrushTurn], captions: Sequence[str], seed: int) -> None:
        self.id, self.seed, self._turns = turns[0].row.img_id, seed, tuple(turns)
        self._noted: set[tuple[int, str]] = set()
        self.tasks = tuple(
            Task(captions[k], captions[k + 1], EDIT_TYPE, turn.row.instruction) for k, turn in enumerate(turns)
        )

    def original(self) -> Image.Image:
        return self._turns[0].picture(SOURCE)

    def truth(self, turn: int) -> Image.Image:
        if turn == 0:
            return self.original()
        picture = self._turns[turn - 1].picture(TARGET)
        return picture if self._fits(picture.size, turn, TARGET) else picture.resize(self._size)

    def mask(self, turn: int) -> Mask:
        at = self._turns[turn - 1]
        mask = region(at.file.picture_bytes(at.place, MASK))
        if self._fits((mask.shape[1], mask.shape[0]), turn, MASK):
            return mask
        fitted: Mask = np.asarray(Image.fromarray(mask).resize(self._size, Image.Resampling.NEAREST))
        return fitted

    @cached_property
    def _size(self) -> tuple[int, int]:
        return self.original().size

    def _fits(self, size: tuple[int, int], turn: int, column: str) -> bool:
        """Whether a picture has the original's size; if not, that it is resized to it is said once."""
        if size == self._size:
            return True
        if (turn, column) not in self._noted:
            self._noted.add((turn, column))
            given, wanted = (f"{width}x{height}" for width, height in (size, self._size))
            log.warning("%s of %s, turn %d is %s, resized to its original's %s", column, self.id, turn, given, wanted)
        return False


class MagicBrush(Suite):
    """The data set ``osunlp/MagicBrush``, CC-BY-4.0."""

    name: ClassVar[str] = "magicbrush"
    title: ClassVar[str] = "MagicBrush (arXiv 2306.10012)"
    variants: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"default": "the same as dev", "dev": "266 sessions, 528 turns", "train": "the training set"}
    )

    def cases(self) -> Sequence[Case]:
        split = "dev" if self.spec.variant == "default" else self.spec.variant
        sessions = read_sessions(parquet_files(self.data, split))
        if not sessions:
            raise InputError(f"no MagicBrush in '{self.data}', expected data/{split}-*.parquet")
        captions = read_captions(self.data, "img_id")
        return [
            MagicBrushCase(turns, _prompts(turns, captions), seed) for seed, turns in enumerate(sessions.values())
        ]


def read_sessions(files: Sequence[ParquetFile]) -> dict[str, list[MagicBrushTurn]]:
    """The turns of every picture by id, in order.

    Raises:
        InputError: a row is not what it should be, or a turn is missing or there twice.
    """
    found: dict[str, list[MagicBrushTurn]] = {}
    for turn in (turn for file in files for turn in _turns(file)):
        found.setdefault(turn.row.img_id, []).append(turn)
    for name, turns in found.items():
        turns.sort(key=lambda turn: turn.row.turn_index)
        numbers = [turn.row.turn_index for turn in turns]
        if numbers != list(range(1, len(turns) + 1)):
            raise InputError(f"picture {name} has the turns {numbers}, expected 1 to {len(turns)}: get all files")
    return dict(sorted(found.items()))


def _prompts(turns: Sequence[MagicBrushTurn], captions: Captions) -> Sequence[str]:
    return prompts(turns[0].row.img_id, PHOTO, [turn.row.instruction for turn in turns], captions)


def region(data: bytes) -> Mask:
    """Where a mask picture lets the editor work, (height, width).

    The published masks are the picture itself with the region made transparent; where a copy has lost its
    transparency the region is white.
    """
    read_picture(data)  # says what is wrong with it
    with Image.open(io.BytesIO(data)) as opened:
        if opened.has_transparency_data:
            clear: Mask = np.asarray(opened.convert("RGBA"))[..., 3] < 128
            return clear
        white: Mask = np.all(np.asarray(opened.convert("RGB")) >= WHITE, axis=-1)
        return white


def _turns(file: ParquetFile) -> Iterator[MagicBrushTurn]:
    for place, raw in enumerate(file.rows(COLUMNS, [SOURCE, MASK, TARGET])):
        yield MagicBrushTurn(_row(file, place, raw), file, place)


def _row(file: ParquetFile, place: int, raw: Any) -> MagicBrushRow:
    try:
        return MagicBrushRow.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"'{file.path}', row {place}: {problem(error)}") from None
