"""Distances of the distributions of a method's pictures and their anchors.

Which FID the paper prints is not published, and 700 pictures are too few for 2048 features: the number depends on
layer, reference and count more than on the method. So all of it is part of the name, and no two of these compare.
The reference are the same cases' originals, or what the method itself made of the turn before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PIL import Image
from torch import Tensor

from undrift.bench.metrics import efflite
from undrift.bench.metrics.anchors import Anchor, anchor_of
from undrift.bench.metrics.base import Outcome, SetMetric
from undrift.bench.metrics.clip_scores import LITTLEWORLD, readable
from undrift.bench.metrics.distribution import frechet, kernel_distance
from undrift.bench.metrics.drawn import sequence_of
from undrift.bench.metrics.encoders import INCEPTION_SIZES, Inception

INCEPTION = Inception()


@dataclass(frozen=True)
class Features:
    """What pictures are turned into before their distributions are compared.

    Attributes:
        name, title: as in the names and titles of metrics.
        official: whether the distances in them are those that papers call FID and KID.
        encode: pictures to vectors (N, D).
        missing: as ``Measure.missing``.
        applies: whether they mean something on a turn.
    """

    name: str
    title: str
    official: bool
    encode: Callable[[Sequence[Image.Image]], Tensor]
    missing: Callable[[], str | None] = lambda: None
    applies: Callable[[Outcome], bool] = lambda outcome: True


@dataclass(frozen=True)
class Distance:
    """Of two sets of vectors; ``official`` is what its title is in the network that papers use."""

    name: str
    title: str
    official: str
    unit: str
    of: Callable[[Tensor, Tensor], float]


class DistributionMetric(SetMetric):
    """A distance of the vectors of all pictures and of all anchors."""

    higher_is_better = False
    group = "paper"

    def __init__(self, distance: Distance, features: Features, anchor: Anchor) -> None:
        words = distance.official if features.official else distance.title
        anchors = "originals" if anchor == "original" else "turns before"
        self.distance, self.features, self.unit = distance, features, distance.unit
        self.anchor: Anchor = anchor
        self.name = f"{distance.name}-{features.name}-{anchor}"
        self.title = f"{words} to the {anchors} ({features.title})"

    def missing(self) -> str | None:
        return self.features.missing()

    def score_set(self, outcomes: Sequence[Outcome]) -> float | None:
        if len(outcomes) < 2 or not all(map(self.features.applies, outcomes)):
            return None
        made = self.features.encode([outcome.picture for outcome in outcomes])
        anchors = self.features.encode([anchor_of(outcome, self.anchor) for outcome in outcomes])
        return self.distance.of(made, anchors)


def inception(size: int) -> Features:
    """A layer of the original FID's Inception-v3: 2048 is the usual one, 768 the one before the auxiliary classifier,
    192 and 64 those after the second and the first pooling.
    """
    return Features(
        f"inception{size}",
        f"Inception {size}",
        True,
        lambda pictures: INCEPTION.features(pictures, size),
        lambda: INCEPTION.missing(),
    )


FID = Distance("fid", "Frechet distance", "FID", "", frechet)
KID = Distance("kid", "Kernel distance", "KID", "10⁻³", lambda x, y: 1000.0 * kernel_distance(x, y))
DRAWN = Features("littleworld", "LittleWorld", False, LITTLEWORLD.pictures, applies=partial(readable, LITTLEWORLD))
PHOTOS = Features(
    "efflite0",
    "EffLite0",
    False,
    efflite.pooled_features,
    efflite.missing,
    lambda outcome: sequence_of(outcome) is None,
)
"""The pooled features of EfficientNet-Lite0, of photographs; not FID."""

METRICS = (
    *(DistributionMetric(FID, DRAWN, anchor) for anchor in ("original", "previous")),
    DistributionMetric(KID, DRAWN, "original"),
    DistributionMetric(FID, PHOTOS, "original"),
    *(DistributionMetric(FID, inception(n), anchor) for n in INCEPTION_SIZES for anchor in ("original", "previous")),
    DistributionMetric(KID, inception(2048), "original"),
)
