"""How right a turn is, where the right picture is known.

All scores compare a picture with the ground truth of its `EditSequence`, so they need no reference model but the
attribute judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from undrift.comparison import bounded_psnr
from undrift.errors import InputError
from undrift.littleworld.judge import SIZE, judge
from undrift.littleworld.sequences import EditSequence

Pixels = NDArray[np.float64]

LEAST_OUTSIDE = 0.01
"""Share of the picture from which on it says something that it was kept; another style leaves hardly a pixel."""


@dataclass(frozen=True)
class TurnScore:
    """One turn of one sequence.

    Attributes:
        edit: 1 - |picture - truth| / |before - truth| inside the turn's true mask (L1), ``before`` being the truth of
            the turn before: 1 is the right picture, 0 that nothing happened, below 0 worse than nothing.
        outside: PSNR in dB against the ground truth outside the turn's true mask; NaN where less than
            ``LEAST_OUTSIDE`` of the picture is.
        asked: share of the attributes that the turn was to change that the judge sees as asked.
        kept: share of the other attributes that the judge still sees as they should be at this turn.
    """

    edit: float
    outside: float
    asked: float
    kept: float


def score_turn(sequence: EditSequence, turn: int, picture: Image.Image) -> TurnScore:
    """Score the picture after ``turn`` (1, 2, ...) of ``sequence``.

    Args:
        sequence: the edits and their right answers.
        turn: which turn.
        picture: what an editor made, square; the ground truth is drawn in its size.

    Raises:
        InputError: The picture is not square.
    """
    if picture.width != picture.height:
        raise InputError(f"a picture of {picture.width} x {picture.height} pixels; LittleWorld's are square")
    truths = (sequence.picture(at, picture.width) for at in (turn, turn - 1))
    got, truth, before = (_pixels(p) for p in (picture, *truths))
    mask = sequence.mask(turn, picture.width)
    undone = np.abs(before - truth)[mask].mean()
    edit = 1.0 - float(np.abs(got - truth)[mask].mean() / undone)
    outside = nan if (~mask).mean() < LEAST_OUTSIDE else bounded_psnr(got[~mask], truth[~mask])
    asked, kept = _attributes(sequence, turn, picture)
    return TurnScore(edit=edit, outside=outside, asked=asked, kept=kept)


def mean_score(scores: Sequence[TurnScore]) -> TurnScore:
    """The mean of each number; that of ``outside`` over the scores that have one, NaN if none has."""
    outside = [s.outside for s in scores if not isnan(s.outside)]
    return TurnScore(
        edit=fmean(s.edit for s in scores),
        outside=fmean(outside) if outside else nan,
        asked=fmean(s.asked for s in scores),
        kept=fmean(s.kept for s in scores),
    )


def _attributes(sequence: EditSequence, turn: int, picture: Image.Image) -> tuple[float, float]:
    """What the judge sees, which reads pictures of one size alone."""
    got = _pixels(picture.resize((SIZE, SIZE), Image.Resampling.BOX))
    seen = judge(torch.from_numpy(got).permute(2, 0, 1)[None].float() / 127.5 - 1.0)[0]
    wanted, before = (sequence.scenes[at].attributes() for at in (turn, turn - 1))
    changed = [name for name in wanted if wanted[name] != before[name]]
    return _share(seen, wanted, changed), _share(seen, wanted, [name for name in wanted if name not in changed])


def _share(seen: Mapping[str, str], wanted: Mapping[str, str], names: Sequence[str]) -> float:
    return fmean(seen[name] == wanted[name] for name in names)


def _pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB"), dtype=np.float64)
