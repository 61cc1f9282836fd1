"""The headline number of change that nobody asked for, and the same since turn 0.

What counts as a change. An autoencoder blurs edges: single pixels beside an edge are wrong by 60 of 255, but to
both sides alternately, so the mean over a window stays close to right. A changed colour, thing or place shifts that
mean. So a pixel has changed if the signed change, averaged over the 9 x 9 window around it, exceeds 32 of 255 in a
channel; only pixels outside the edited region count, into which the region is grown by 4 pixels for its own blurred
edge. The turn has drifted if at least 1 in 1000 of the picture's pixels (17 of 128 x 128) changed.

The threshold is measured (`python -m benchmarks.calibration`): of 320 right pictures, one trip through LittleWorld's
autoencoder changes enough in one; with one more thing changed than was asked it tells 94 of 100.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from undrift.bench.case import Mask
from undrift.bench.metrics.anchors import Anchor, anchor_of, mask_of
from undrift.bench.metrics.base import Outcome, TurnMetric
from undrift.bench.metrics.drawn import sequence_of
from undrift.bench.metrics.pixels import enough, grown, pixels_of, window_sums

MARGIN = 4
REACH = 4
CHANGED_ABOVE = 32.0
DRIFTED_FROM = 0.001


class DriftRate(TurnMetric):
    """100 if something outside of what was to change since the anchor changed beyond the autoencoder's own loss,
    else 0. None where less than a hundredth of the picture was to stay.

    Against the method's own picture before the turn it charges this turn alone: drift counts once, in the turn that
    made it. Against turn 0 it is cumulated: slow drift that stays below the threshold in every turn shows, drift once
    made keeps counting, and fewer turns can be told the more was edited.
    """

    unit = "%"
    higher_is_better = False
    group = "ground truth"

    def __init__(self, name: str, title: str, anchor: Anchor) -> None:
        self.name, self.title, self.anchor = name, title, anchor

    def score_one(self, outcome: Outcome) -> float | None:
        if sequence_of(outcome) is None:
            return None
        return _drifted(outcome.picture, anchor_of(outcome, self.anchor), mask_of(outcome, self.anchor))


METRICS = (
    DriftRate("drift-rate", "Drift rate", "previous"),
    DriftRate("drift-rate-since-original", "Drift rate since turn 0", "original"),
)


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
