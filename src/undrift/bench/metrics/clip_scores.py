"""CLIP-T, how well a picture fits its caption, and CLIP-I, how near it is to another picture.

CLIP-T = max(100 cos(picture, target prompt), 0): about 24 to 27 is what papers print for ViT-L/14; doing nothing at
all scores 23.5 on PIE-Bench. CLIP-I = cos(picture, source), which doing nothing wins: it says nothing without
CLIP-T. Numbers of two CLIPs never compare, so the CLIP is part of the name; ``littleworld`` is this package's own
small one. Source: Hessel et al. 2021 for the score; the paper's model and partner of CLIP-I are not published.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, cast

from PIL import Image

from undrift.bench.metrics.anchors import Anchor, anchor_of
from undrift.bench.metrics.base import Metric, Outcome
from undrift.bench.metrics.drawn import sequence_of
from undrift.bench.metrics.encoders import Clip, HubClip, LittleWorldClip
from undrift.bench.metrics.weights import CLIP_B32, CLIP_L14

LITTLEWORLD, L14, B32 = LittleWorldClip(), HubClip(CLIP_L14), HubClip(CLIP_B32)


class ClipMetric(Metric):
    """A number of CLIP vectors."""

    higher_is_better: ClassVar[bool | None] = True
    group: ClassVar[str] = "paper"
    clip: ClassVar[Clip]

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

    def cosines(self, outcomes: Sequence[Outcome]) -> list[float]:
        return fits_prompt(self.clip, [outcome.picture for outcome in outcomes], outcomes)


class ClipImage(ClipMetric):
    """cos(picture, anchor)."""

    anchor: ClassVar[Anchor] = "source"

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
    return not isinstance(clip, LittleWorldClip) or sequence_of(outcome) is not None


class ClipTextLittleWorld(ClipText):
    """CLIP-T of LittleWorld's own CLIP."""

    name, title, clip = "clip-t-littleworld", "CLIP-T (LittleWorld)", LITTLEWORLD


class ClipTextL14(ClipText):
    """CLIP-T of OpenAI's ViT-L/14, as in PIE-Bench and most likely in the paper."""

    name, title, clip = "clip-t-vit-l14", "CLIP-T (ViT-L/14)", L14


class ClipTextB32(ClipText):
    """CLIP-T of OpenAI's ViT-B/32; about 4 higher than ViT-L/14's."""

    name, title, clip = "clip-t-vit-b32", "CLIP-T (ViT-B/32)", B32


class ClipImageLittleWorld(ClipImage):
    """CLIP-I of LittleWorld's own CLIP, to the source."""

    name, title, clip = "clip-i-littleworld", "CLIP-I (LittleWorld)", LITTLEWORLD


class ClipImageLittleWorldPrevious(ClipImage):
    """CLIP-I of LittleWorld's own CLIP, to the turn before."""

    name, title, clip = "clip-i-littleworld-previous", "CLIP-I to the turn before (LittleWorld)", LITTLEWORLD
    anchor = "previous"


class ClipImageL14(ClipImage):
    """CLIP-I of OpenAI's ViT-L/14, to the source."""

    name, title, clip = "clip-i-vit-l14", "CLIP-I (ViT-L/14)", L14


class ClipImageL14Previous(ClipImage):
    """CLIP-I of OpenAI's ViT-L/14, to the turn before."""

    name, title, clip = "clip-i-vit-l14-previous", "CLIP-I to the turn before (ViT-L/14)", L14
    anchor = "previous"


class ClipImageB32(ClipImage):
    """CLIP-I of OpenAI's ViT-B/32, to the source."""

    name, title, clip = "clip-i-vit-b32", "CLIP-I (ViT-B/32)", B32
