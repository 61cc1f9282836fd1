"""The headline number of change that nobody asked for, and the same since turn 0.

What counts as a change. An autoencoder blurs edges: single pixels beside an edge are wrong by 60 of 255, but to
both sides alternately, so the mean over a window stays close to right. A changed colour, thing or place shifts that
mean. So a pixel has changed if the signed change, averaged over the 9 x 9 window around it, exceeds 32 of 255 in a
channel; only pixels outside the edited region count, into which the region is grown by 4 pixels for its own blurred
edge. The turn has drifted if at least 1 in 1000 of the picture's pixels (17 of 128 x 128) changed.

The threshold is measured: on 64 sequences of five right turns, one trip through LittleWorld's autoencoder changes no
pixel by that measure and two trips at most 7; a picture of another sequence changes at least 134, mostly 13 000.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from undrift.bench.case import Mask
from undrift.bench.metrics.base import Outcome, TurnMetric
from undrift.bench.metrics.drawn import sequence_of
from undrift.bench.metrics.pixels import enough, grown, pixels_of, window_sums

MARGIN = 4
REACH = 4
CHANGED_ABOVE = 32.0
DRIFTED_FROM = 0.001


class DriftRate(TurnMetric):
    """100 if the turn changed something outside of its true mask beyond the autoencoder's own loss, else 0.

    It compares with the method's own picture before the turn, so it charges this turn alone: drift counts once, in
    the turn that made it. None where the turn leaves less than a hundredth of the picture alone.
    """

    name: ClassVar[str] = "drift-rate"
    title: ClassVar[str] = "Drift rate"
    unit: ClassVar[str] = "%"
    higher_is_better: ClassVar[bool | None] = False
    group: ClassVar[str] = "ground truth"

    def score_one(self, outcome: Outcome) -> float | None:
        if sequence_of(outcome) is None:
            return None
        return _drifted(outcome.picture, outcome.previous, outcome.case.mask(outcome.turn))


class DriftRateSinceSource(TurnMetric):
    """100 if the picture differs from turn 0 where no turn so far was to change it, beyond the autoencoder's loss.

    Cumulated: slow drift that stays below the threshold in every turn shows here, and drift once made keeps counting.
    None where the turns so far leave less than a hundredth of the picture alone, so n falls with the turns.
    """

    name: ClassVar[str] = "drift-rate-since-source"
    title: ClassVar[str] = "Drift rate since turn 0"
    unit: ClassVar[str] = "%"
    higher_is_better: ClassVar[bool | None] = False
    group: ClassVar[str] = "ground truth"

    def score_one(self, outcome: Outcome) -> float | None:
        if sequence_of(outcome) is None:
            return None
        return _drifted(outcome.picture, outcome.source, outcome.case.mask_since_source(outcome.turn))


def changed_outside(picture: Image.Image, anchor: Image.Image, outside: Mask) -> tuple[NDArray[np.bool_], Mask]:
    """Where ``picture`` changed against ``anchor``, and where that can be told: half of the window lies outside."""
    got, before = pixels_of(picture, anchor)
    counted = window_sums(outside.astype(np.float64), REACH)
    told = outside & (counted >= (2 * REACH + 1) ** 2 / 2)
    shift = window_sums((got - before) * outside[..., None], REACH) / np.maximum(counted, 1.0)[..., None]
    return told & (np.abs(shift).max(axis=-1) > CHANGED_ABOVE), told


def _drifted(picture: Image.Image, anchor: Image.Image, mask: Mask | None) -> float | None:
    if mask is None:
        return None
    changed, told = changed_outside(picture, anchor, ~grown(mask, MARGIN))
    return 100.0 * bool(changed.mean() >= DRIFTED_FROM) if enough(told) else None
