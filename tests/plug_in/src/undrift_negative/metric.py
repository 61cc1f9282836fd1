"""A metric: how bright a picture is."""

from __future__ import annotations

from PIL import ImageStat

from undrift.bench.metrics.base import Outcome, TurnMetric


class Brightness(TurnMetric):
    """Mean of the values, 0 to 255."""

    name = "brightness"
    title = "Brightness"
    higher_is_better = None
    group = "drift"

    def score_one(self, outcome: Outcome) -> float:
        return ImageStat.Stat(outcome.picture.convert("L")).mean[0]


METRICS = (Brightness(),)
