"""What a metric is.

*Unscored is not zero*: a metric that does not apply to a turn gives None, and every mean is printed with the number
of turns behind it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from undrift.bench.case import Case
from undrift.bench.records import TurnRecord


@dataclass(frozen=True)
class Outcome:
    """One finished turn, as metrics see it.

    Attributes:
        case: what was asked, with the right answers where they are known.
        turn: k, from 1.
        picture: what the method made.
        previous: what it made of the turn before (the original at turn 1).
        original: turn 0.
        record: cost and provenance.
    """

    case: Case
    turn: int
    picture: Image.Image
    previous: Image.Image
    original: Image.Image
    record: TurnRecord


class Measure(ABC):
    """What both kinds of metrics say of themselves. A module's ``METRICS`` are what users can name.

    Attributes:
        name: what the user types and the records carry; a variant that changes the numbers is part of it.
        title: as printed in tables.
        unit: "dB", "%", "px" ..., empty for none. "%" means values from 0 to 100: a yes or no is 100 or 0, so that
            its mean over the turns is the rate.
        higher_is_better: None where neither is, such as for costs of different methods.
        group: "ground truth", "paper", "pie-bench", "drift" or "cost".
    """

    name: str
    title: str
    unit: str = ""
    higher_is_better: bool | None
    group: str

    def missing(self) -> str | None:
        """Why this metric cannot run here (a package or weights to install), in a line; None if it can."""
        return None


class Metric(Measure):
    """Maps each turn to a number."""

    @abstractmethod
    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        """One number per outcome; None where it does not apply. A batch equals its members scored singly."""


class TurnMetric(Metric):
    """A metric that looks at one turn at a time."""

    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        return [self.score_one(outcome) for outcome in outcomes]

    @abstractmethod
    def score_one(self, outcome: Outcome) -> float | None:
        """The number of one turn; None where it does not apply."""


class SetMetric(Measure):
    """Maps all turns with one number k of one method to one number, such as a distance of distributions."""

    @abstractmethod
    def score_set(self, outcomes: Sequence[Outcome]) -> float | None:
        """The number of the whole set; None where there are too few."""
