"""Instructions with known answers: how the files of tests/instructions are read, and what counts as right."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from undrift.instructions import NotUnderstood, Reading, understand

FOLDER = Path(__file__).parents[1] / "instructions"


@dataclass(frozen=True)
class Case:
    """One instruction on one caption; ``answers`` are the right captions, or of a refusal the word it has to name."""

    caption: str
    history: tuple[str, ...]
    say: str
    kinds: str
    answers: tuple[str, ...]
    littleworld: bool

    @property
    def name(self) -> str:
        """For the list of tests."""
        return f"{self.say} | {self.caption}"

    def reading(self) -> Reading:
        """What is understood."""
        return understand(self.say, self.caption, self.history)

    def verdict(self) -> str:
        """``right``, ``refused`` (wrongly, or without naming what is missing), or ``silently wrong``."""
        try:
            reading = self.reading()
        except NotUnderstood as refusal:
            named = self.kinds == "refused" and self.answers[0].lower() in str(refusal).lower()
            return "right" if named else "refused"
        if self.kinds == "caption":
            return "right" if reading.form == "caption" and reading.target == self.say else "silently wrong"
        kinds = " ".join(reading.kinds)
        right = reading.form == "instruction" and reading.target in self.answers and kinds == self.kinds
        return "right" if right else "silently wrong"


def cases(name: str) -> list[Case]:
    """The cases of one file: "development", "held_out" or "traps"."""
    return list(_read(FOLDER / f"{name}.toml"))


def _read(path: Path) -> Iterator[Case]:
    for scene in tomllib.loads(path.read_text(encoding="utf-8"))["scene"]:
        history = list(scene.get("history", ()))
        if history[-1:] != [scene["caption"]]:
            history.append(scene["caption"])
        for say, kinds, answer in scene["cases"]:
            answers = tuple(answer) if isinstance(answer, list) else (answer,)
            yield Case(scene["caption"], tuple(history), say, kinds, answers, "world" in scene)
