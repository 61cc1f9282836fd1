"""Whether the turn did what was asked, where the right picture is known.

Two sorts of errors. A turn inherits what earlier turns left undone or spoiled, and it makes errors of its own. The
right picture after turn k supposes that all earlier turns went right, so ``edit-score`` charges both.
``edit-success`` looks only at the attributes that this turn was to change, and ``edit-progress`` and
``freeze-rate`` start from the method's own picture before the turn, so they charge the turn's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from undrift.bench.case import Mask
from undrift.bench.metrics.base import Metric, Outcome, TurnMetric
from undrift.bench.metrics.drawn import asked, seen, sequence_of
from undrift.bench.metrics.pixels import Pixels, pixels_of

MOVED_LITTLE = 0.25
"""Below this share of the change asked for, a turn did nothing."""
HALF_WAY = 0.5
"""Of the way to the right picture; less is not what was asked, unless the judge sees it.

The exact value matters little: of 73 turns of 14 editors in which the judge did not see it, 47 made less than 0.1 of
the way and 7 more than 0.5.
"""


class EditSuccess(Metric):
    """100 if the attribute judge sees every attribute that the turn was to change as asked, else 0.

    A crown of the wrong colour is no success. Another sequence's picture succeeds in one turn of six,
    mostly where something was to go.
    """

    name = "edit-success"
    title = "Edit success"
    unit = "%"
    higher_is_better = True
    group = "ground truth"

    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        known = [outcome for outcome in outcomes if sequence_of(outcome) is not None]
        found = iter(as_asked(known, [outcome.picture for outcome in known]))
        return [100.0 * next(found) if sequence_of(outcome) is not None else None for outcome in outcomes]


class EditScore(TurnMetric):
    """1 - |picture - truth_k| / |truth_k-1 - truth_k|, L1 inside the turn's true mask.

    1 is the right picture, 0 a right picture before the turn that was left as it was, below 0 worse than that. What
    earlier turns left wrong inside the mask is charged again.
    """

    name = "edit-score"
    title = "Edit score"
    higher_is_better = True
    group = "ground truth"

    def score_one(self, outcome: Outcome) -> float | None:
        known = _region(outcome)
        if known is None:
            return None
        got, _, truth, before = known
        return _share_made(got, before, truth)


class EditProgress(TurnMetric):
    """1 - |picture - truth_k| / |previous - truth_k|, L1 inside the turn's true mask.

    The share of its own way that the turn made: 1 is the right picture, exactly 0 an untouched one. ``previous`` is
    what the method made of the turn before, so inherited errors are not charged. None where nothing was left to do.
    """

    name = "edit-progress"
    title = "Edit progress"
    higher_is_better = True
    group = "ground truth"

    def score_one(self, outcome: Outcome) -> float | None:
        known = _region(outcome)
        if known is None:
            return None
        got, previous, truth, _ = known
        return _share_made(got, previous, truth)


class FreezeRate(Metric):
    """100 if what was asked did not happen, else 0. The headline number of edits that were swallowed.

    A turn is frozen in either case:

    - the judge does not see all asked attributes as asked, and less than half of the way to the right picture was
      made (``edit-progress`` < 0.5);
    - the judge saw them as asked in the picture before already, and the turn moved its true mask by less than a
      quarter of what was asked, |picture - previous| < 0.25 |truth_k - truth_k-1| in L1: what an earlier turn left by
      chance is not done by doing nothing.

    Where the turn was to change what the judge does not read, only the way counts: frozen below half of it.

    Doing nothing scores 100, the ground truth 0. A thing that is put elsewhere than in the truth is not frozen. It
    charges only this turn: an earlier frozen edit counts once.
    """

    name = "freeze-rate"
    title = "Freeze rate"
    unit = "%"
    higher_is_better = False
    group = "ground truth"

    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        known = [outcome for outcome in outcomes if sequence_of(outcome) is not None]
        now = as_asked(known, [outcome.picture for outcome in known])
        before = as_asked(known, [outcome.previous for outcome in known])
        found = iter(map(_frozen, known, now, before))
        return [100.0 * next(found) if sequence_of(outcome) is not None else None for outcome in outcomes]


def as_asked(outcomes: Sequence[Outcome], pictures: Sequence[Image.Image]) -> list[bool]:
    """Whether the judge sees everything that each drawn turn was to change as asked in the picture beside it."""
    return [
        all(read[name] == value for name, value in _asked(o).items())
        for o, read in zip(outcomes, seen(pictures), strict=True)
    ]


def _asked(outcome: Outcome) -> dict[str, str]:
    sequence = sequence_of(outcome)
    assert sequence is not None
    return asked(sequence, outcome.turn)


def _frozen(outcome: Outcome, done: bool, before: bool) -> bool:
    region = _region(outcome)
    assert region is not None
    got, previous, truth, right_before = region
    if done:
        return before and _distance(got, previous) < MOVED_LITTLE * _distance(truth, right_before)
    made = _share_made(got, previous, truth)
    return made is None or made < HALF_WAY


def _region(outcome: Outcome) -> tuple[Pixels, Pixels, Pixels, Pixels] | None:
    """The pixels inside the turn's mask of the picture, the one before it, the right one and the right one before."""
    case, turn = outcome.case, outcome.turn
    mask, truth, before = case.mask(turn), case.truth(turn), case.truth(turn - 1)
    if mask is None or truth is None or before is None or not mask.any():
        return None
    return _inside(mask, *pixels_of(outcome.picture, outcome.previous, truth, before))


def _inside(mask: Mask, a: Pixels, b: Pixels, c: Pixels, d: Pixels) -> tuple[Pixels, Pixels, Pixels, Pixels]:
    return a[mask], b[mask], c[mask], d[mask]


def _distance(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a - b).mean())


def _share_made(got: Pixels, start: Pixels, goal: Pixels) -> float | None:
    left = _distance(start, goal)
    return 1.0 - _distance(got, goal) / left if left else None


METRICS = (EditSuccess(), EditScore(), EditProgress(), FreezeRate())
