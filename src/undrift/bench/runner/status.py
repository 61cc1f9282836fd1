"""How far a run is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from undrift.bench.case import Case
from undrift.bench.records import RunFolder, TurnRecord


@dataclass(frozen=True)
class Status:
    """Turns of one method.

    Attributes:
        label: of the method.
        total: turns that there are to be.
        made: turns with a picture.
        scored: of these, with scores of this very picture.
        failed: the records of what failed; the turns after it are not made.
    """

    label: str
    total: int
    made: int
    scored: int
    failed: tuple[TurnRecord, ...]

    @property
    def finished(self) -> bool:
        """Whether every turn is made."""
        return self.made == self.total


def status(run: RunFolder, labels: Iterable[str], cases: Sequence[Case]) -> list[Status]:
    """The state of every method, from the records alone: pictures are not looked at."""
    return [_status(run, label, cases) for label in labels]


def _status(run: RunFolder, label: str, cases: Sequence[Case]) -> Status:
    made, scored, failed = 0, 0, []
    for case in cases:
        scores = run.scores(label, case.id)
        for record in run.records(label, case.id):
            if record.error is not None:
                failed.append(record)
                continue
            made += 1
            scored += record.turn in scores and scores[record.turn].image_hash == record.image_hash
    return Status(label, sum(case.turns for case in cases), made, scored, tuple(failed))
