"""How far the picture is from the right one outside of the turn's mask.

The right picture after turn k supposes that all earlier turns went right. So these numbers hold everything that is
wrong there by now: what this turn spoiled, and all that earlier turns spoiled or left undone. An editor that does
nothing does not score perfectly; ``drift-rate`` and the anchors of ``anchors.py`` say what a turn itself changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from PIL import Image

from undrift.bench.metrics.base import Metric, Outcome, TurnMetric
from undrift.bench.metrics.drawn import sequence_of
from undrift.bench.metrics.perceptual import pasted, perceptual_distances
from undrift.bench.metrics.pixels import enough, pixels_of
from undrift.littleworld.clip import stage_features
from undrift.littleworld.scoring import psnr


class TruthPsnr(TurnMetric):
    """10 log10(255^2 / MSE) to the right picture at the pixels outside of the turn's mask; 99 if nothing differs."""

    name: ClassVar[str] = "truth-psnr-outside"
    title: ClassVar[str] = "PSNR to the truth, outside"
    unit: ClassVar[str] = "dB"
    higher_is_better: ClassVar[bool | None] = True
    group: ClassVar[str] = "ground truth"

    def score_one(self, outcome: Outcome) -> float | None:
        mask, truth = outcome.case.mask(outcome.turn), outcome.case.truth(outcome.turn)
        if mask is None or truth is None or not enough(~mask):
            return None
        got, right = pixels_of(outcome.picture, truth)
        return psnr(got[~mask], right[~mask])


class TruthPerceptual(Metric):
    """Distance to the right picture in the features of LittleWorld's own CLIP, the turn's mask pasted from the truth.

    See ``perceptual.py`` for the formula. It is not LPIPS.
    """

    name: ClassVar[str] = "truth-perceptual-littleworld-outside"
    title: ClassVar[str] = "Perceptual distance to the truth, outside (LittleWorld)"
    higher_is_better: ClassVar[bool | None] = False
    group: ClassVar[str] = "ground truth"

    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        pairs = [_pair(outcome) if sequence_of(outcome) is not None else None for outcome in outcomes]
        known = [pair for pair in pairs if pair is not None]
        found = iter(perceptual_distances(stage_features, [a for a, _ in known], [b for _, b in known]))
        return [next(found) if pair is not None else None for pair in pairs]


def _pair(outcome: Outcome) -> tuple[Image.Image, Image.Image] | None:
    mask, truth = outcome.case.mask(outcome.turn), outcome.case.truth(outcome.turn)
    if mask is None or truth is None or not enough(~mask):
        return None
    return pasted(outcome.picture, truth, mask), truth
