"""What a judge is asked of a turn, and what its answers have to be: the two passes of LME-Bench's protocol.

The words are undrift's own, so rates compare with each other and not with published ones; for those,
``undrift bench export`` writes the layout that the benchmark's own evaluator reads.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from undrift.bench.case import Task
from undrift.files import sha256
from undrift.from_json import from_json
from undrift.pictures import png_bytes
from undrift.wording import problem

SUCCESS = 7
"""A turn succeeds from this value of both scores on."""

BROKEN = 2
"""A frame is broken from this sum of content loss and corruption on."""

TURN = """\
You see a session in which a picture was edited turn after turn: the original first, then the picture after each turn.
Judge the last turn alone. Compare its picture with the one just before it.

follows: whether the change that the last turn asks for took place, 0 (not at all) to 10 (exactly as asked). What was
there already before does not count. An addition must bring something new, a removal must take something away, a
changed property must be that of the thing that was named.
consistent: whether all that the last turn did not ask to change is as it was, 0 (needlessly different) to 10 (only
what was asked changed). A request that concerns the whole picture, such as another style, light, season or colour
scheme, may change how everything looks; then the things, who they are and where they stand must still be the same.

Answer with JSON alone: {"why": "one sentence", "follows": 0, "consistent": 0}
"""

FRAME = """\
You see two pictures: the original, and what became of it after the requests below. Say whether the second picture is
broken. Being in a style that was asked for, however unlike a photo, is not broken; damage that nobody asked for is:
noise, speckles, smears, melted or doubled shapes, colours beyond all measure, a place that dissolves into a pattern.

lost: 0 if every main thing and the place can be made out, 1 if one of them cannot, 2 if the scene is gone.
corrupted: 0 if the surface is sound, 1 if it is plainly damaged, 2 if damage is most of what one sees.

Answer with JSON alone: {"why": "one sentence", "lost": 0, "corrupted": 0}
"""


class TurnAnswer(BaseModel):
    """Of the first pass."""

    model_config = ConfigDict(frozen=True)

    why: str = ""
    follows: Annotated[int, Field(ge=0, le=10)]
    consistent: Annotated[int, Field(ge=0, le=10)]

    @property
    def succeeded(self) -> bool:
        """Whether both scores are high enough."""
        return min(self.follows, self.consistent) >= SUCCESS


class FrameAnswer(BaseModel):
    """Of the second pass."""

    model_config = ConfigDict(frozen=True)

    why: str = ""
    lost: Annotated[int, Field(ge=0, le=2)]
    corrupted: Annotated[int, Field(ge=0, le=2)]

    @property
    def broken(self) -> bool:
        """Whether the frame is no picture of the scene any more."""
        return self.lost + self.corrupted >= BROKEN


Answer = TypeVar("Answer", TurnAnswer, FrameAnswer)
Content = list[dict[str, Any]]
"""Of a message: texts and pictures."""

VERSION = sha256((TURN + FRAME).encode())[:12]
"""Answers to other questions are not these."""


def turn_question(tasks: Sequence[Task], pictures: Sequence[Image.Image]) -> Content:
    """The session so far, ``pictures`` being the original and one a task."""
    return [_text(_requests(tasks)), *map(_picture, pictures)]


def frame_question(tasks: Sequence[Task], original: Image.Image, picture: Image.Image) -> Content:
    """The original and what became of it after ``tasks``."""
    return [_text(_requests(tasks)), _picture(original), _picture(picture)]


def schema_of(kind: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of an answer, as servers take it."""
    numbers = {name: {"type": "integer"} for name in kind.model_fields if name != "why"}
    return {
        "type": "object",
        "properties": {"why": {"type": "string"}, **numbers},
        "required": ["why", *numbers],
        "additionalProperties": False,
    }


def read_answer(text: str, kind: type[Answer]) -> Answer:
    """An answer: JSON, also within a fence or other words.

    Raises:
        ValueError: it is not that; says why.
    """
    begin, end = text.find("{"), text.rfind("}")
    try:
        value = from_json(text[begin : end + 1])
    except ValueError:
        raise ValueError("the answer is no JSON") from None
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise ValueError(problem(error)) from None


def _requests(tasks: Sequence[Task]) -> str:
    lines = (
        f"Turn {number}: {task.instruction or f'change it so that it shows: {task.target_prompt}'}"
        for number, task in enumerate(tasks, 1)
    )
    return "\n".join(lines)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _picture(picture: Image.Image) -> dict[str, Any]:
    data = base64.b64encode(png_bytes(picture)).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
