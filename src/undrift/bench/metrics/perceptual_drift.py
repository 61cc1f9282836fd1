"""Perceptual distance to the right picture and to the original, outside of what was to change.

What lies inside the mask is pasted from the other picture, so that only the outside can differ. The formula is in
``perceptual.py``; the network is part of the name: ``littleworld`` is this package's own small CLIP and reads drawn
pictures alone, ``efflite0`` is EfficientNet-Lite0, trained on photographs. None of them is LPIPS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from undrift.bench.metrics import efflite
from undrift.bench.metrics.anchors import mask_of
from undrift.bench.metrics.base import Metric, Outcome
from undrift.bench.metrics.drawn import sequence_of
from undrift.bench.metrics.perceptual import Stages, pasted, perceptual_distances
from undrift.bench.metrics.pixels import enough
from undrift.littleworld.clip import stage_features

Pair = tuple[Image.Image, Image.Image]


def nothing_missing() -> str | None:
    """Of networks that are part of the package."""
    return None


@dataclass(frozen=True)
class Network:
    """What the features are taken from.

    Attributes:
        name, title: as in the names and titles of metrics.
        stages: features (N, C, H, W), from fine to coarse.
        missing: as ``Measure.missing``.
        drawn: whether it reads the drawn world alone, or everything else alone.
    """

    name: str
    title: str
    stages: Stages
    missing: Callable[[], str | None]
    drawn: bool


LITTLEWORLD = Network("littleworld", "LittleWorld", stage_features, nothing_missing, drawn=True)
EFFLITE = Network("efflite0", "EffLite0", efflite.stage_features, efflite.missing, drawn=False)


class PerceptualMetric(Metric):
    """The distance of a pair of pictures in the features of a network; None on turns of a world it does not read."""

    higher_is_better = False

    def __init__(
        self, name: str, title: str, network: Network, pair: Callable[[Outcome], Pair | None], group: str = "drift"
    ) -> None:
        what, _, where = name.partition("-")
        self.name = f"{what}-perceptual-{network.name}-{where}"
        self.title = f"Perceptual to {title}, {where} ({network.title})"
        self.network, self.group, self._pair = network, group, pair

    def missing(self) -> str | None:
        return self.network.missing()

    def pair(self, outcome: Outcome) -> Pair | None:
        """What is compared; None where it is unknown or of another world."""
        drawn = sequence_of(outcome) is not None
        return self._pair(outcome) if drawn == self.network.drawn else None

    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        pairs = [self.pair(outcome) for outcome in outcomes]
        found = iter(perceptual_distances(self.network.stages, [pair for pair in pairs if pair is not None]))
        return [None if pair is None else next(found) for pair in pairs]


def to_truth(outcome: Outcome) -> Pair | None:
    """The picture and the right one, which is pasted into the turn's mask."""
    mask, truth = outcome.case.mask(outcome.turn), outcome.case.truth(outcome.turn)
    if mask is None or truth is None or not enough(~mask):
        return None
    return pasted(outcome.picture, truth, mask), truth


def to_original(outcome: Outcome) -> Pair | None:
    """The picture and the original, which is pasted into the mask of all turns so far."""
    mask = mask_of(outcome, "original")
    if mask is None or not enough(~mask):
        return None
    return pasted(outcome.picture, outcome.original, mask), outcome.original


def whole(outcome: Outcome) -> Pair | None:
    """The picture and the original as they are, edits included."""
    return outcome.picture, outcome.original


METRICS = (
    *(PerceptualMetric("truth-outside", "truth", each, to_truth, "ground truth") for each in (LITTLEWORLD, EFFLITE)),
    *(PerceptualMetric("original-outside", "turn 0", each, to_original) for each in (LITTLEWORLD, EFFLITE)),
    PerceptualMetric("original-whole", "turn 0", EFFLITE, whole),
)
