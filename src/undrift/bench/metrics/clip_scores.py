"""CLIP-T, how well a picture fits its caption, and CLIP-I, how near it is to another picture.

CLIP-T = max(100 cos(picture, target prompt), 0): about 24 to 27 is what papers print for ViT-L/14; doing nothing at
all scores 23.5 on PIE-Bench. CLIP-I = cos(picture, original), which doing nothing wins: it says nothing without
CLIP-T. Numbers of two CLIPs never compare, so the CLIP is part of the name; ``littleworld`` is this package's own
small one. Source: Hessel et al. 2021 for the score; the paper's model and partner of CLIP-I are not published.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import cast

from PIL import Image

from undrift.bench.metrics.anchors import Anchor, anchor_of
from undrift.bench.metrics.base import Metric, Outcome
from undrift.bench.metrics.drawn import sequence_of
from undrift.bench.metrics.encoders import Clip, HubClip, LittleWorldClip
from undrift.bench.metrics.weights import CLIP_B32, CLIP_L14

LITTLEWORLD = LittleWorldClip("littleworld", "LittleWorld")
L14 = HubClip("vit-l14", "ViT-L/14", CLIP_L14)
B32 = HubClip("vit-b32", "ViT-B/32", CLIP_B32)


class ClipMetric(Metric):
    """A number of the vectors of one CLIP."""

    higher_is_better = True
    group = "paper"

    def __init__(self, clip: Clip) -> None:
        self.clip = clip

    def missing(self) -> str | None:
        return self.clip.missing()

    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        known = [outcome for outcome in outcomes if readable(self.clip, outcome)]
        found = iter(self.cosines(known) if known else [])
        return [next(found) if readable(self.clip, outcome) else None for outcome in outcomes]

    @abstractmethod
    def cosines(self, outcomes: Sequence[Outcome]) -> list[float]:
        """The number of each."""


class ClipText(ClipMetric):
    """max(100 cos(picture, target prompt), 0)."""

    def __init__(self, clip: Clip) -> None:
        super().__init__(clip)
        self.name, self.title = f"clip-t-{clip.name}", f"CLIP-T ({clip.title})"

    def cosines(self, outcomes: Sequence[Outcome]) -> list[float]:
        return fits_prompt(self.clip, [outcome.picture for outcome in outcomes], outcomes)


class ClipImage(ClipMetric):
    """cos(picture, anchor)."""

    def __init__(self, clip: Clip, anchor: Anchor) -> None:
        super().__init__(clip)
        since = "-previous" if anchor == "previous" else ""
        to = " to the turn before" if anchor == "previous" else ""
        self.name, self.title = f"clip-i-{clip.name}{since}", f"CLIP-I{to} ({clip.title})"
        self.anchor: Anchor = anchor

    def cosines(self, outcomes: Sequence[Outcome]) -> list[float]:
        pictures = self.clip.pictures([outcome.picture for outcome in outcomes])
        anchors = self.clip.pictures([anchor_of(outcome, self.anchor) for outcome in outcomes])
        return cast("list[float]", (pictures * anchors).sum(-1).tolist())


def fits_prompt(clip: Clip, pictures: Sequence[Image.Image], outcomes: Sequence[Outcome]) -> list[float]:
    """max(100 cos, 0) of each picture and the target prompt of its turn."""
    if not pictures:
        return []
    texts = clip.texts([outcome.case.tasks[outcome.turn - 1].target_prompt for outcome in outcomes])
    cosines = (clip.pictures(pictures) * texts).sum(-1)
    return cast("list[float]", (100.0 * cosines).clamp(min=0.0).tolist())


def readable(clip: Clip, outcome: Outcome) -> bool:
    """Whether the turn is of a world that ``clip`` has seen."""
    return not clip.drawn_only or sequence_of(outcome) is not None


METRICS = (
    *(ClipText(clip) for clip in (LITTLEWORLD, L14, B32)),
    *(ClipImage(clip, "original") for clip in (LITTLEWORLD, L14, B32)),
    *(ClipImage(clip, "previous") for clip in (LITTLEWORLD, L14)),
)
