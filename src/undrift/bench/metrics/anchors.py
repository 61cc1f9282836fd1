"""How far a picture has come from an anchor: the source (turn 0), or the method's own picture of the turn before.

``-outside`` looks where nothing was to change: against the turn before outside of the turn's mask, against the
source outside of the masks of all turns so far; None where a mask is unknown or leaves less than a hundredth of the
picture. ``-whole`` looks everywhere, so that the edit itself counts too: on suites without masks only the comparison
of methods on the same turns means something.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

from PIL import Image

from undrift.bench.case import Mask
from undrift.bench.metrics.base import Outcome, TurnMetric
from undrift.bench.metrics.pixels import Pixels, enough, pixels_of
from undrift.comparison import bounded_psnr

Anchor = Literal["source", "previous"]


def compared(outcome: Outcome, anchor: Anchor, outside: bool) -> tuple[Pixels, Pixels] | None:
    """The values (count, 3) of picture and anchor at the pixels looked at; None if too few."""
    got, before = pixels_of(outcome.picture, anchor_of(outcome, anchor))
    if not outside:
        return got.reshape(-1, 3), before.reshape(-1, 3)
    mask = mask_of(outcome, anchor)
    return (got[~mask], before[~mask]) if mask is not None and enough(~mask) else None


def anchor_of(outcome: Outcome, anchor: Anchor) -> Image.Image:
    """The picture that is compared with."""
    return outcome.source if anchor == "source" else outcome.previous


def mask_of(outcome: Outcome, anchor: Anchor) -> Mask | None:
    """Where something was to change since the anchor; None where nobody knows it."""
    case, turn = outcome.case, outcome.turn
    return case.mask_since_source(turn) if anchor == "source" else case.mask(turn)


class AnchorMetric(TurnMetric):
    """A number of the values of picture and anchor."""

    group: ClassVar[str] = "drift"
    anchor: ClassVar[Anchor]
    outside: ClassVar[bool]

    @staticmethod
    @abstractmethod
    def number(picture: Pixels, anchor: Pixels) -> float:
        """Of the values (count, 3) of both."""

    def score_one(self, outcome: Outcome) -> float | None:
        values = compared(outcome, self.anchor, self.outside)
        return None if values is None else self.number(*values)


class AnchorPsnr(AnchorMetric):
    """10 log10(255^2 / MSE) over the RGB values; 99 if nothing differs."""

    unit: ClassVar[str] = "dB"
    higher_is_better: ClassVar[bool | None] = True

    @staticmethod
    def number(picture: Pixels, anchor: Pixels) -> float:
        return bounded_psnr(picture, anchor)


class SourcePsnrOutside(AnchorPsnr):
    """PSNR to turn 0 where no turn so far was to change it."""

    name: ClassVar[str] = "source-psnr-outside"
    title: ClassVar[str] = "PSNR to turn 0, outside"
    anchor, outside = "source", True


class SourcePsnrWhole(AnchorPsnr):
    """PSNR to turn 0 over the whole picture, edits included."""

    name: ClassVar[str] = "source-psnr-whole"
    title: ClassVar[str] = "PSNR to turn 0, whole"
    anchor, outside = "source", False


class PreviousPsnrOutside(AnchorPsnr):
    """PSNR to the turn before where this turn was to change nothing."""

    name: ClassVar[str] = "previous-psnr-outside"
    title: ClassVar[str] = "PSNR to the turn before, outside"
    anchor, outside = "previous", True


class PreviousPsnrWhole(AnchorPsnr):
    """PSNR to the turn before over the whole picture, the edit included."""

    name: ClassVar[str] = "previous-psnr-whole"
    title: ClassVar[str] = "PSNR to the turn before, whole"
    anchor, outside = "previous", False
