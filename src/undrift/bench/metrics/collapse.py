"""Colours that flare up, the sign by which a chain of edits that collapses is known before it is looked at.

Colourfulness after Hasler and Suesstrunk 2003, "Measuring colourfulness in natural images", equation 9: with
rg = R - G and yb = (R + G) / 2 - B over the picture, M = sqrt(var rg + var yb) + 0.3 sqrt(mean rg^2 + mean yb^2).
On their scale 15 is slightly and 59 quite colourful.
"""

from __future__ import annotations

import numpy as np

from undrift.bench.metrics.base import Outcome, TurnMetric
from undrift.bench.metrics.pixels import Pixels, pixels

SLIGHTLY = 15.0
"""Less colour than this counts as this much: the first colour in a grey picture is no flare."""
ALARM_FROM = 50.0
"""Per cent by which the colours of a turn rise above all that they are held to."""


def colourfulness(picture: Pixels) -> float:
    """M of the formula above, from 0."""
    red, green, blue = np.moveaxis(picture, -1, 0)
    opponents = np.stack([red - green, (red + green) / 2.0 - blue])
    spread, away = np.sqrt(opponents.var(axis=(1, 2)).sum()), np.linalg.norm(opponents.mean(axis=(1, 2)))
    return float(spread + 0.3 * away)


def spike(outcome: Outcome) -> float:
    """Per cent by which a picture is more colourful than the original, the picture before it, and the right one."""
    truth = outcome.case.truth(outcome.turn)
    held_to = [outcome.original, outcome.previous, *([] if truth is None else [truth])]
    usual = max(SLIGHTLY, *(colourfulness(pixels(picture)) for picture in held_to))
    return max(0.0, 100.0 * (colourfulness(pixels(outcome.picture)) / usual - 1.0))


class ColourfulnessSpike(TurnMetric):
    """How much more colourful the picture is than the original, the one before it and, where known, the right one."""

    name = "colourfulness-spike"
    title = "Colourfulness spike"
    unit = "%"
    higher_is_better = False
    group = "drift"

    def score_one(self, outcome: Outcome) -> float | None:
        return spike(outcome)


class CollapseAlarm(TurnMetric):
    """100 where the spike is 50 % or more, else 0."""

    name = "collapse-alarm"
    title = "Collapse alarm"
    unit = "%"
    higher_is_better = False
    group = "drift"

    def score_one(self, outcome: Outcome) -> float | None:
        return 100.0 * (spike(outcome) >= ALARM_FROM)


METRICS = (ColourfulnessSpike(), CollapseAlarm())
