"""How far the picture is from the right one outside of the turn's mask.

The right picture after turn k supposes that all earlier turns went right. So these numbers hold everything that is
wrong there by now: what this turn spoiled, and all that earlier turns spoiled or left undone. An editor that does
nothing does not score perfectly; ``drift-rate`` and the anchors of ``anchors.py`` say what a turn itself changed.
"""

from __future__ import annotations

from undrift.bench.metrics.base import Outcome, TurnMetric
from undrift.bench.metrics.pixels import enough, pixels_of
from undrift.comparison import bounded_psnr


class TruthPsnr(TurnMetric):
    """10 log10(255^2 / MSE) to the right picture at the pixels outside of the turn's mask; 99 if nothing differs."""

    name = "truth-psnr-outside"
    title = "PSNR to the truth, outside"
    unit = "dB"
    higher_is_better = True
    group = "ground truth"

    def score_one(self, outcome: Outcome) -> float | None:
        mask, truth = outcome.case.mask(outcome.turn), outcome.case.truth(outcome.turn)
        if mask is None or truth is None or not enough(~mask):
            return None
        got, right = pixels_of(outcome.picture, truth)
        return bounded_psnr(got[~mask], right[~mask])


METRICS = (TruthPsnr(),)
