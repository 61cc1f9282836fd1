"""How far a picture has come from an anchor: the original (turn 0), or the method's own picture of the turn before.

``-outside`` looks where nothing was to change: against the turn before outside of the turn's mask, against the
original outside of the masks of all turns so far; None where a mask is unknown or leaves less than a hundredth of the
picture. ``-whole`` looks everywhere, so that the edit itself counts too: on suites without masks only the comparison
of methods on the same turns means something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

from PIL import Image

from undrift.bench.case import Mask
from undrift.bench.metrics.base import Outcome, TurnMetric
from undrift.bench.metrics.pixels import Pixels, enough, pixels_of
from undrift.comparison import bounded_psnr

Anchor = Literal["original", "previous"]
WORDS = {"original": "turn 0", "previous": "the turn before"}
"""The anchors as titles name them."""

Measured = Callable[[Pixels, Pixels, Mask | None], float | None]
"""A number of picture and anchor, where the mask of the outside is True or everywhere; None where there is none."""


@dataclass(frozen=True)
class Formula:
    """What is measured, whatever it is measured against and wherever.

    Attributes:
        name, title: of the metrics between the anchor's and the place's; the title ends where the anchor follows.
        unit, higher_is_better: see ``Measure``.
        of: the number.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    of: Measured


class AnchorMetric(TurnMetric):
    """A formula of a picture and its anchor, ``outside`` of what was to change since the anchor or over the whole."""

    group = "drift"

    def __init__(self, formula: Formula, anchor: Anchor, outside: bool) -> None:
        where = "outside" if outside else "whole"
        self.formula, self.anchor, self.outside = formula, anchor, outside
        self.name = f"{anchor}-{formula.name}-{where}"
        self.title = f"{formula.title} {WORDS[anchor]}, {where}"
        self.unit, self.higher_is_better = formula.unit, formula.higher_is_better

    def score_one(self, outcome: Outcome) -> float | None:
        mask = mask_of(outcome, self.anchor) if self.outside else None
        if self.outside and mask is None:
            return None
        picture, anchor = pixels_of(outcome.picture, anchor_of(outcome, self.anchor))
        return self.formula.of(picture, anchor, None if mask is None else ~mask)


def everywhere(formula: Formula) -> tuple[AnchorMetric, ...]:
    """``formula`` against both anchors, outside and over the whole picture."""
    return tuple(AnchorMetric(formula, *choice) for choice in product(get_args(Anchor), (True, False)))


def of_values(number: Callable[[Pixels, Pixels], float]) -> Measured:
    """A number of the values (count, 3) looked at; None if too few are."""

    def measured(picture: Pixels, anchor: Pixels, outside: Mask | None) -> float | None:
        if outside is None:
            return number(picture.reshape(-1, 3), anchor.reshape(-1, 3))
        return number(picture[outside], anchor[outside]) if enough(outside) else None

    return measured


def anchor_of(outcome: Outcome, anchor: Anchor) -> Image.Image:
    """The picture that is compared with."""
    return outcome.original if anchor == "original" else outcome.previous


def mask_of(outcome: Outcome, anchor: Anchor) -> Mask | None:
    """Where something was to change since the anchor; None where nobody knows it."""
    case, turn = outcome.case, outcome.turn
    return case.mask_since_original(turn) if anchor == "original" else case.mask(turn)


METRICS = everywhere(Formula("psnr", "PSNR to", "dB", True, of_values(bounded_psnr)))
"""10 log10(255^2 / MSE) over the RGB values; 99 if nothing differs."""
