"""Requests as people type them: how tests/instructions/typed*.toml are read, and what counts as right."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tests.support.instructions import FOLDER
from undrift.instructions import NotUnderstood, Reading, understand

Verdict = Literal["right", "refused", "wrong"]


@dataclass(frozen=True)
class Typed:
    """One request on one caption, with every outcome that is right.

    Attributes:
        history: the captions of the turns so far, the last is what the picture shows.
        outcomes: target captions; ``"?"`` for a refusal; ``"="`` for a caption that is taken as it stands.
    """

    say: str
    history: tuple[str, ...]
    outcomes: tuple[str, ...]

    @property
    def name(self) -> str:
        """For the list of tests."""
        return f"{self.say} | {self.history[-1]}"

    def reading(self) -> Reading:
        """What is understood."""
        return understand(self.say, self.history[-1], self.history)

    def verdict(self) -> Verdict:
        """``right``, ``refused`` though there is an edit that is meant, or ``wrong``: another edit would be made."""
        try:
            reading = self.reading()
        except NotUnderstood:
            return "right" if "?" in self.outcomes else "refused"
        if reading.form == "caption":
            return "right" if "=" in self.outcomes else "wrong"
        return "right" if reading.target in self.outcomes else "wrong"


def typed(name: str) -> list[Typed]:
    """The requests of one file, such as "typed"; outcomes are captions, or "red -> blue" of the present one."""
    return list(_read(tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))))


def share(count: int, total: int) -> str:
    """A share in per cent with its 95 % interval after Wilson, "72 = 62.1 % (53.0 to 70.4)"."""
    z, part = 1.96, count / total
    middle = part + z * z / (2 * total)
    spread = z * math.sqrt(part * (1 - part) / total + z * z / (4 * total * total))
    low, high = ((middle + sign * spread) / (1 + z * z / total) for sign in (-1, 1))
    return f"{count} = {100 * part:.1f} % ({100 * max(0.0, low):.1f} to {100 * high:.1f})"


def _read(table: dict[str, Any]) -> Iterator[Typed]:
    for scene in table["scene"]:
        history = (*scene.get("history", ()), scene["caption"])
        for say, *outcomes in scene["cases"]:
            yield Typed(say, history, tuple(_outcome(each, history) for each in outcomes))


def _outcome(written: str, history: tuple[str, ...]) -> str:
    if written in ("?", "="):
        return written
    if written.startswith("@"):
        return history[int(written[1:])]
    if " -> " not in written:
        return written
    caption = history[-1]
    for change in written.split("; "):
        old, new = change.split(" -> ")
        if caption.count(old) == 0:
            raise ValueError(f"{written!r}: {old!r} is not in {caption!r}")
        caption = caption.replace(old, new, 1)
    spelt = re.sub(r"\ba (?=[aeiou])", "an ", " ".join(caption.split()))
    return re.sub(r"\ban (?![aeiou])", "a ", spelt)
