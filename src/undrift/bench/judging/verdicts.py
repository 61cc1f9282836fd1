"""What a judge said of a case, on disk: nothing is asked, or paid for, twice."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from undrift.bench.judging.questions import VERSION, FrameAnswer, TurnAnswer
from undrift.bench.records import RunFolder
from undrift.files import write_atomically

FOLDER = "judge"


class Verdict(BaseModel):
    """All answers about one case.

    Attributes:
        model: the judge's name.
        questions: ``VERSION`` of what it was asked.
        pictures: hashes of the pictures by turn, which the answers are about.
        turns: of the first pass by turn, up to the first that failed.
        frames: of the second pass by turn.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    questions: str = VERSION
    pictures: dict[int, str | None] = {}
    turns: dict[int, TurnAnswer] = {}
    frames: dict[int, FrameAnswer] = {}

    def complete(self, turns: int) -> bool:
        """Whether nothing is left to ask about a case of so many turns."""
        first = turns if self.succeeded(turns) else self.failed_at
        return set(self.turns) >= set(range(1, (first or 0) + 1)) and first is not None and len(self.frames) == turns

    @property
    def failed_at(self) -> int | None:
        """The first turn that failed, None if none is known to have."""
        return next((turn for turn, answer in sorted(self.turns.items()) if not answer.succeeded), None)

    def succeeded(self, turn: int) -> bool:
        """Whether all turns up to ``turn`` did."""
        return all(k in self.turns and self.turns[k].succeeded for k in range(1, turn + 1))

    def collapsed(self, turn: int) -> bool:
        """Whether two frames in a row up to ``turn`` and the one after are broken, the first by ``turn``."""
        broken = {k for k, answer in self.frames.items() if answer.broken}
        return any(k in broken and k + 1 in broken for k in range(1, turn + 1))


def file_of(run: RunFolder, model: str, label: str, case: str) -> Path:
    """Where the verdict on a case lies."""
    return run.path / FOLDER / re.sub(r"[^\w.-]+", "_", model) / label / f"{case}.json"


def read(file: Path, model: str, pictures: dict[int, str | None]) -> Verdict:
    """The verdict in ``file``; an empty one if there is none, or it is about other pictures or other questions."""
    new = Verdict(model=model, pictures=pictures)
    try:
        found = Verdict.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return new
    same = (found.model, found.questions, found.pictures) == (model, VERSION, pictures)
    return found if same else new


def write(file: Path, verdict: Verdict) -> None:
    """Replace the verdict in ``file``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, verdict.model_dump_json(indent=1).encode() + b"\n")
