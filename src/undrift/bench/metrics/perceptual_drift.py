"""Perceptual distance to the right picture and to the source, outside of what was to change.

What lies inside the mask is pasted from the other picture, so that only the outside can differ. The formula is in
``perceptual.py``; the network is part of the name: ``littleworld`` is this package's own small CLIP and reads drawn
pictures alone, ``efflite0`` is EfficientNet-Lite0, trained on photographs. None of them is LPIPS.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from PIL import Image
from torch import Tensor

from undrift.bench.metrics import efflite
from undrift.bench.metrics.anchors import mask_of
from undrift.bench.metrics.base import Metric, Outcome
from undrift.bench.metrics.drawn import sequence_of
from undrift.bench.metrics.perceptual import pasted, perceptual_distances
from undrift.bench.metrics.pixels import enough
from undrift.littleworld.clip import stage_features

Pair = tuple[Image.Image, Image.Image]


class PerceptualMetric(Metric):
    """The distance of a pair of pictures in the features of a network."""

    higher_is_better: ClassVar[bool | None] = False
    group: ClassVar[str] = "drift"

    @abstractmethod
    def stages(self, pictures: Sequence[Image.Image]) -> list[Tensor]:
        """Features (N, C, H, W), from fine to coarse."""

    @abstractmethod
    def pair(self, outcome: Outcome) -> Pair | None:
        """What is compared; None where it is unknown."""

    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        pairs = [self.pair(outcome) for outcome in outcomes]
        found = iter(perceptual_distances(self.stages, [pair for pair in pairs if pair is not None]))
        return [None if pair is None else next(found) for pair in pairs]


class LittleWorldDistance(PerceptualMetric):
    """In the features of LittleWorld's own CLIP."""

    def stages(self, pictures: Sequence[Image.Image]) -> list[Tensor]:
        return stage_features(pictures)


class EffLiteDistance(PerceptualMetric):
    """In the features of EfficientNet-Lite0; not of drawn pictures, which have a network of their own."""

    def missing(self) -> str | None:
        return efflite.missing()

    def stages(self, pictures: Sequence[Image.Image]) -> list[Tensor]:
        return efflite.stage_features(pictures)


class TruthPerceptualLittleWorld(LittleWorldDistance):
    """To the right picture, what earlier turns left wrong included."""

    name, title = "truth-perceptual-littleworld-outside", "Perceptual to truth, outside (LittleWorld)"
    group = "ground truth"

    def pair(self, outcome: Outcome) -> Pair | None:
        return to_truth(outcome) if sequence_of(outcome) is not None else None


class SourcePerceptualLittleWorld(LittleWorldDistance):
    """To turn 0 where no turn so far was to change it."""

    name, title = "source-perceptual-littleworld-outside", "Perceptual to turn 0, outside (LittleWorld)"

    def pair(self, outcome: Outcome) -> Pair | None:
        return to_source(outcome) if sequence_of(outcome) is not None else None


class TruthPerceptualEffLite(EffLiteDistance):
    """To the right picture, what earlier turns left wrong included."""

    name, title = "truth-perceptual-efflite0-outside", "Perceptual to truth, outside (EffLite0)"
    group = "ground truth"

    def pair(self, outcome: Outcome) -> Pair | None:
        return to_truth(outcome) if sequence_of(outcome) is None else None


class SourcePerceptualEffLite(EffLiteDistance):
    """To turn 0 where no turn so far was to change it."""

    name, title = "source-perceptual-efflite0-outside", "Perceptual to turn 0, outside (EffLite0)"

    def pair(self, outcome: Outcome) -> Pair | None:
        return to_source(outcome) if sequence_of(outcome) is None else None


class SourcePerceptualEffLiteWhole(EffLiteDistance):
    """To turn 0 over the whole picture, edits included."""

    name, title = "source-perceptual-efflite0-whole", "Perceptual to turn 0, whole (EffLite0)"

    def pair(self, outcome: Outcome) -> Pair | None:
        return (outcome.picture, outcome.source) if sequence_of(outcome) is None else None


def to_truth(outcome: Outcome) -> Pair | None:
    """The picture and the right one, which is pasted into the turn's mask."""
    mask, truth = outcome.case.mask(outcome.turn), outcome.case.truth(outcome.turn)
    if mask is None or truth is None or not enough(~mask):
        return None
    return pasted(outcome.picture, truth, mask), truth


def to_source(outcome: Outcome) -> Pair | None:
    """The picture and the source, which is pasted into the mask of all turns so far."""
    mask = mask_of(outcome, "source")
    if mask is None or not enough(~mask):
        return None
    return pasted(outcome.picture, outcome.source, mask), outcome.source
