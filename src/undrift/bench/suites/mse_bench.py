"""MSE-Bench (VINCIE): 100 sessions of five turns with captions, ``data/train-00000-of-00001.parquet``.

A published target caption says what is new after its turn ("The snowman is now in a snowy forest ..."), not all that
the picture shows. A prompt that says everything is therefore the caption of the original and those of the turns so
far; most are longer than CLIP's 77 tokens, which T5 still reads. The variant ``captions`` takes each alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import Annotated, ClassVar, Self

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from undrift.bench.case import Case, Task
from undrift.bench.data.parquet import ParquetFile, parquet_files
from undrift.bench.data.pie import Text
from undrift.bench.suites.base import Suite
from undrift.errors import InputError
from undrift.wording import problem

COLUMNS = ("index", "context", "description_source", "description_target", "operation", "summary")
IMAGE = "image"
CAPTIONS = "captions"


class Session(BaseModel):
    """A row without its picture; the lists have one value a turn.

    Attributes:
        index: unique number.
        context: instructions.
        description_source: caption of the picture.
        description_target: what is new after each turn.
        operation: kinds of edits.
    """

    model_config = ConfigDict(frozen=True)

    index: Annotated[int, Field(ge=0)]
    context: tuple[str, ...]
    description_source: Text
    description_target: Annotated[tuple[Text, ...], Field(min_length=1)]
    operation: tuple[str, ...]

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        counts = [len(self.context), len(self.description_target), len(self.operation)]
        if len(set(counts)) > 1:
            raise ValueError(
                f"{counts[0]} instructions, {counts[1]} captions and {counts[2]} operations, expected as many of each"
            )
        return self

    def tasks(self, cumulative: bool = True) -> tuple[Task, ...]:
        """The turns; with each caption alone, or behind all that came before."""
        said = (self.description_source, *self.description_target)
        prompts = list(accumulate(said, "{} {}".format)) if cumulative else said
        return tuple(
            Task(source, target, kind.strip() or "unknown", instruction.strip() or None)
            for (source, target), kind, instruction in zip(
                pairwise(prompts), self.operation, self.context, strict=True
            )
        )


class MseCase(Case):
    """A session; nobody knows the right pictures or where they change."""

    def __init__(self, file: ParquetFile, row: int, session: Session, cumulative: bool) -> None:
        self.id, self.tasks, self.seed = f"mse-{session.index:03}", session.tasks(cumulative), session.index
        self._file, self._row = file, row

    def original(self) -> Image.Image:
        return self._file.picture(self._row, IMAGE)


class MseBench(Suite):
    """The data set ``leigangqu/MSE-Bench``, Apache-2.0."""

    name: ClassVar[str] = "mse-bench"
    title: ClassVar[str] = "MSE-Bench (arXiv 2506.10941)"
    variants: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "default": "the original's caption followed by those of the turns so far",
            CAPTIONS: "each turn's caption alone, as published",
        }
    )

    def cases(self) -> Sequence[Case]:
        files = parquet_files(self.data, "train")
        cumulative = self.spec.variant != CAPTIONS
        cases = [MseCase(*row, cumulative) for file in files for row in sessions(file)]
        if not cases:
            raise InputError(f"no parquet file with MSE-Bench in '{self.data}', expected data/train-*.parquet")
        return sorted(cases, key=lambda case: case.seed)


def sessions(file: ParquetFile) -> list[tuple[ParquetFile, int, Session]]:
    """The rows of a file.

    Raises:
        InputError: a row is not what it should be.
    """
    return [(file, place, _session(file, place, row)) for place, row in enumerate(file.rows(COLUMNS, [IMAGE]))]


def _session(file: ParquetFile, place: int, row: object) -> Session:
    try:
        return Session.model_validate(row)
    except ValidationError as error:
        raise InputError(f"'{file.path}', row {place}: {problem(error)}") from None
