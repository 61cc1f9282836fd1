"""What a PNG says about how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from undrift import __version__
from undrift.errors import PictureError
from undrift.pictures import NoMetadataError, read_metadata
from undrift.session.fields import Count
from undrift.session.model import Turn, TurnKind, TurnSpec
from undrift.wording import problem

FORMAT = 1
SOFTWARE = f"undrift {__version__}"


def recipe(prompt: str, kind: TurnKind, number: int, spec: TurnSpec | None) -> dict[str, Any]:
    """Metadata of a picture within a session: its own turn, and nothing that changes from run to run."""
    turn = {"number": number, "kind": kind, "prompt": prompt, "spec": spec and spec.model_dump(mode="json")}
    return {"format": FORMAT, "software": SOFTWARE, "prompt": prompt, "turns": [turn]}


def chain(path: Sequence[Turn]) -> dict[str, Any]:
    """Metadata of an exported picture: every turn from the original to it, complete."""
    turns = [turn.model_dump(mode="json") for turn in path]
    return {"format": FORMAT, "software": SOFTWARE, "prompt": path[-1].prompt, "turns": turns}


class RecordedTurn(BaseModel):
    """What a picture's metadata says of one turn; of a picture of a session's folder, and of an exported one.

    Attributes:
        number, kind, prompt, spec: as in ``Turn``.
    """

    model_config = ConfigDict(frozen=True)

    number: Count
    kind: TurnKind
    prompt: str
    spec: TurnSpec | None = None


class Recorded(BaseModel):
    """The metadata of a picture: what it shows, what made it, and the turns that led to it, the last one its own."""

    model_config = ConfigDict(frozen=True)

    prompt: str
    software: str = "undrift"
    turns: tuple[RecordedTurn, ...]


def known_prompt(source: str | Path | bytes) -> str:
    """What a picture shows, as undrift recorded it in its metadata; empty if it recorded nothing.

    Raises:
        PictureError: as ``recall``, but for a picture of somebody else's.
    """
    try:
        return recall(source).prompt
    except NoMetadataError:
        return ""


def recall(source: str | Path | bytes) -> Recorded:
    """How a PNG made by undrift came about; nothing of the picture itself is decoded.

    Args:
        source: a path, or a file's contents (an upload).

    Raises:
        PictureError: not a readable picture, none of undrift's, or its metadata is not what undrift writes.
    """
    try:
        return Recorded.model_validate(read_metadata(source))
    except ValidationError as error:
        raise PictureError(f"the undrift metadata is damaged: {problem(error)}") from None
