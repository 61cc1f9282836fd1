"""LME-Bench (MT-OPSD): 100 sessions of ten instructions, made to show what happens after turn five.

PATH/lme_bench.json            the sessions
PATH/images/0001.png ...       their pictures, 1024 x 1024

Its protocol edits pictures of an area of 512 x 512, always the editor's own last one, with the seed 42 in every turn,
session after session and turn after turn. There are instructions and no captions but the original's: prompts are that
caption and what was said so far, or those of a file ``captions.json`` (``undrift.bench.data.captions``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, Self

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from undrift.bench.case import Case, Task
from undrift.bench.data.captions import Captions, prompts, read_captions
from undrift.bench.data.pie import CaseId, Text
from undrift.bench.suites.base import Suite
from undrift.errors import InputError
from undrift.pictures import read_picture
from undrift.wording import problem

SESSIONS, PICTURES = "lme_bench.json", "images"
SIDE, SEED = 512, 42
AS_PUBLISHED = "1024"


class LmeSession(BaseModel):
    """One session.

    Attributes:
        id: of the session and its picture.
        category: what the picture is of.
        source_prompt: what the picture was made from, its caption.
        turns: the instructions.
        labels: of each turn: a hard or a soft edit of the whole picture, or a local one.
    """

    model_config = ConfigDict(frozen=True)

    id: CaseId
    category: str
    source_prompt: Text
    turns: Annotated[tuple[Text, ...], Field(min_length=1)]
    labels: tuple[Literal["hard", "soft", "local"], ...]

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        if len(self.turns) != len(self.labels):
            raise ValueError(f"{len(self.turns)} turns and {len(self.labels)} labels, expected as many")
        return self


class LmeSessions(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True)

    items: Annotated[tuple[LmeSession, ...], Field(min_length=1)]


class LmeCase(Case):
    """A session; nobody knows the right pictures or where they change."""

    seed_step = 0

    def __init__(self, session: LmeSession, picture: Path, side: int | None, captions: Captions) -> None:
        said = prompts(session.id, session.source_prompt, session.turns, captions)
        self.id, self.seed, self._picture, self._side = session.id, SEED, picture, side
        self.tasks = tuple(
            Task(said[k], said[k + 1], label, instruction)
            for k, (instruction, label) in enumerate(zip(session.turns, session.labels, strict=True))
        )

    def original(self) -> Image.Image:
        picture = read_picture(self._picture)
        if self._side is None:
            return picture
        width, height = picture.size
        scale = self._side / sqrt(width * height)
        size = round(width * scale), round(height * scale)
        return picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)


class LmeBench(Suite):
    """The data set ``metazlb/LME-Bench``."""

    name: ClassVar[str] = "lme-bench"
    title: ClassVar[str] = "LME-Bench (github.com/liangbingzhao/MT-OPSD)"
    variants: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "default": "its protocol's working area: pictures are reduced to 512 x 512",
            AS_PUBLISHED: "the pictures as they are published, 1024 x 1024",
        }
    )

    def cases(self) -> Sequence[Case]:
        side = None if self.spec.variant == AS_PUBLISHED else SIDE
        captions = read_captions(self.data)
        folder = self.data / PICTURES
        return [LmeCase(each, folder / f"{each.id}.png", side, captions) for each in read_sessions(self.data)]


def read_sessions(data: Path) -> Sequence[LmeSession]:
    """The sessions in a folder.

    Raises:
        InputError: the file is missing or not what it should be, or two sessions have one id.
    """
    file = data / SESSIONS
    try:
        found = LmeSessions.model_validate_json(file.read_bytes()).items
    except OSError:
        raise InputError(f"no LME-Bench in '{data}', expected {SESSIONS} and {PICTURES}/") from None
    except ValidationError as error:
        raise InputError(f"'{file}': {problem(error)}") from None
    twice = sorted({one.id for k, one in enumerate(found) if one.id in {other.id for other in found[:k]}})
    if twice:
        raise InputError(f"'{file}' has session {twice[0]} twice")
    return found
