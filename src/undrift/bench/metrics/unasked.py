"""Attributes that nobody asked to change, and that changed all the same."""

from __future__ import annotations

from collections.abc import Sequence

from undrift.bench.metrics.base import Metric, Outcome
from undrift.bench.metrics.drawn import Attributes, asked, asked_since_original, attributes, seen, sequence_of


class UnaskedChanges(Metric):
    """How many attributes that this turn left alone the judge reads otherwise than in the picture before the turn.

    Of up to 6. It compares with the method's own previous picture (at turn 1 with the original's known attributes),
    so it charges this turn alone. A thing that disappears takes its colour with it and counts twice.
    """

    name = "unasked-changes"
    title = "Unasked changes"
    higher_is_better = False
    group = "ground truth"

    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        known = [outcome for outcome in outcomes if sequence_of(outcome) is not None]
        now = seen([outcome.picture for outcome in known])
        before = seen([outcome.previous for outcome in known])
        found = iter(map(_changed_by_turn, known, now, before))
        return [next(found) if sequence_of(outcome) is not None else None for outcome in outcomes]


class UnaskedChangesSinceSource(Metric):
    """How many attributes that no turn so far was to change the judge reads otherwise than they are in the original.

    Cumulated: what turn 2 spoiled is still counted at turn 5, unless it came back. The number of attributes that can
    count falls as more are asked for; None when all were.
    """

    name = "unasked-changes-since-original"
    title = "Unasked changes since turn 0"
    higher_is_better = False
    group = "ground truth"

    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        known = [outcome for outcome in outcomes if sequence_of(outcome) is not None]
        found = iter(map(_changed_since_original, known, seen([outcome.picture for outcome in known])))
        return [next(found) if sequence_of(outcome) is not None else None for outcome in outcomes]


def _changed_by_turn(outcome: Outcome, now: Attributes, judged: Attributes) -> float:
    sequence = sequence_of(outcome)
    assert sequence is not None
    before = attributes(sequence, 0) if outcome.turn == 1 else judged
    left_alone = before.keys() - asked(sequence, outcome.turn).keys()
    return float(sum(now[name] != before[name] for name in left_alone))


def _changed_since_original(outcome: Outcome, now: Attributes) -> float | None:
    sequence = sequence_of(outcome)
    assert sequence is not None
    original = attributes(sequence, 0)
    left_alone = original.keys() - asked_since_original(sequence, outcome.turn)
    return float(sum(now[name] != original[name] for name in left_alone)) if left_alone else None


METRICS = (UnaskedChanges(), UnaskedChangesSinceSource())
