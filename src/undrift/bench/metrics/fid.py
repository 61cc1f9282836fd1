"""Distances of the distributions of a method's pictures and their anchors.

Which FID the paper prints is not published, and 700 pictures are too few for 2048 features: the number depends on
layer, reference and count more than on the method. So all of it is part of the name, and no two of these compare.
The reference are the same cases' sources, or what the method itself made of the turn before.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from PIL import Image
from torch import Tensor

from undrift.bench.metrics import efflite
from undrift.bench.metrics.anchors import Anchor, anchor_of
from undrift.bench.metrics.base import Outcome, SetMetric
from undrift.bench.metrics.clip_scores import LITTLEWORLD, readable
from undrift.bench.metrics.distribution import frechet, kernel_distance
from undrift.bench.metrics.drawn import sequence_of
from undrift.bench.metrics.encoders import Inception

INCEPTION = Inception()


class DistributionMetric(SetMetric):
    """A distance of the vectors of all pictures and of all anchors."""

    higher_is_better: ClassVar[bool | None] = False
    group: ClassVar[str] = "paper"
    anchor: ClassVar[Anchor] = "source"

    @abstractmethod
    def encode(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Vectors (N, D)."""

    def distance(self, x: Tensor, y: Tensor) -> float:
        """Of two sets of vectors."""
        return frechet(x, y)

    def applies(self, outcome: Outcome) -> bool:
        """Whether the features mean something on this turn."""
        return True

    def score_set(self, outcomes: Sequence[Outcome]) -> float | None:
        if len(outcomes) < 2 or not all(map(self.applies, outcomes)):
            return None
        made = self.encode([outcome.picture for outcome in outcomes])
        return self.distance(made, self.encode([anchor_of(outcome, self.anchor) for outcome in outcomes]))


class LittleWorldDistance(DistributionMetric):
    """In the features of LittleWorld's own CLIP."""

    def encode(self, pictures: Sequence[Image.Image]) -> Tensor:
        return LITTLEWORLD.pictures(pictures)

    def applies(self, outcome: Outcome) -> bool:
        return readable(LITTLEWORLD, outcome)


class FidLittleWorldSource(LittleWorldDistance):
    """Frechet distance to the sources."""

    name, title = "fid-littleworld-source", "Frechet distance to the sources (LittleWorld)"


class FidLittleWorldPrevious(LittleWorldDistance):
    """Frechet distance to the turns before."""

    name, title = "fid-littleworld-previous", "Frechet distance to the turns before (LittleWorld)"
    anchor = "previous"


class KidLittleWorldSource(LittleWorldDistance):
    """Kernel distance to the sources."""

    name, title, unit = "kid-littleworld-source", "Kernel distance to the sources (LittleWorld)", "10⁻³"

    def distance(self, x: Tensor, y: Tensor) -> float:
        return 1000.0 * kernel_distance(x, y)


class FidEffLiteSource(DistributionMetric):
    """Frechet distance to the sources in the pooled features of EfficientNet-Lite0, of photographs; not FID."""

    name, title = "fid-efflite0-source", "Frechet distance to the sources (EffLite0)"

    def missing(self) -> str | None:
        return efflite.missing()

    def encode(self, pictures: Sequence[Image.Image]) -> Tensor:
        return efflite.pooled_features(pictures)

    def applies(self, outcome: Outcome) -> bool:
        return sequence_of(outcome) is None


class InceptionDistance(DistributionMetric):
    """In a layer of the original FID's Inception-v3."""

    size: ClassVar[int]

    def missing(self) -> str | None:
        return INCEPTION.missing()

    def encode(self, pictures: Sequence[Image.Image]) -> Tensor:
        return INCEPTION.features(pictures, self.size)


class FidInception2048Source(InceptionDistance):
    """FID to the sources: the usual layer."""

    name, title, size = "fid-inception2048-source", "FID to the sources (Inception 2048)", 2048


class FidInception2048Previous(InceptionDistance):
    """FID to the turns before: the usual layer."""

    name, title, size = "fid-inception2048-previous", "FID to the turns before (Inception 2048)", 2048
    anchor = "previous"


class FidInception768Source(InceptionDistance):
    """FID to the sources in the layer before the auxiliary classifier."""

    name, title, size = "fid-inception768-source", "FID to the sources (Inception 768)", 768


class FidInception768Previous(InceptionDistance):
    """FID to the turns before in the layer before the auxiliary classifier."""

    name, title, size = "fid-inception768-previous", "FID to the turns before (Inception 768)", 768
    anchor = "previous"


class FidInception192Source(InceptionDistance):
    """FID to the sources after the second pooling."""

    name, title, size = "fid-inception192-source", "FID to the sources (Inception 192)", 192


class FidInception192Previous(InceptionDistance):
    """FID to the turns before after the second pooling."""

    name, title, size = "fid-inception192-previous", "FID to the turns before (Inception 192)", 192
    anchor = "previous"


class FidInception64Source(InceptionDistance):
    """FID to the sources after the first pooling."""

    name, title, size = "fid-inception64-source", "FID to the sources (Inception 64)", 64


class FidInception64Previous(InceptionDistance):
    """FID to the turns before after the first pooling."""

    name, title, size = "fid-inception64-previous", "FID to the turns before (Inception 64)", 64
    anchor = "previous"


class KidInception2048Source(InceptionDistance):
    """KID to the sources."""

    name, title, size, unit = "kid-inception2048-source", "KID to the sources (Inception 2048)", 2048, "10⁻³"

    def distance(self, x: Tensor, y: Tensor) -> float:
        return 1000.0 * kernel_distance(x, y)
