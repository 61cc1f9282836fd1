"""Drift: change nobody asked for, measured on the pictures relative to an anchor picture.

Where to look. What a turn *edited* is its mask (one value per token) at 0.5 and above, grown by half a token on
every side, because a decoder's pixels depend on the neighbouring tokens too, and enlarged to pixels; of that, what
its region allowed it to change. Against the previous turn, the outside is what this turn's edit leaves. Against the
original, it is what the edits of all turns since then leave: an edit of turn 2 is no drift at turn 5. A turn that was
asked to change the whole picture (another place, another style) edited all of it, whatever its attention looked at;
so did a picture put in by hand. Another turn with neither mask nor region may have edited anywhere, and nothing is
known to be its edit: it leaves all outside.

What is measured there: ``psnr`` = 10 log10(255^2 / MSE) over the RGB values, and ``changed``, the fraction of the
pixels of which a channel changed by more than 8 of 255. No reference-free quality is measured: such scores improve
while pictures degrade.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from undrift.comparison import psnr
from undrift.session.model import DriftNumbers, Turn

CHANGED_ABOVE = 8
WARN_BELOW = 16.0
"""Drift against the original, in dB, below which ``warning`` speaks; docs/method.md says how it was chosen."""

Mask = NDArray[np.bool_]


class Edited(NamedTuple):
    """Where a turn edited.

    Attributes:
        mask: L, one pixel per token; the tokens may cover padding beyond the picture. None: anywhere.
        region: L, of the picture's size, 0 where nothing could change. None: everything could.
        token_side: as ``Turn.token_side``.
        everywhere: it was asked to change the whole picture; ``mask`` says nothing then.
    """

    mask: Image.Image | None
    region: Image.Image | None = None
    token_side: int | None = None
    everywhere: bool = False


def outside(edits: Sequence[Edited], size: tuple[int, int]) -> Mask:
    """The pixels (height, width) that no edit covers.

    Args:
        edits: one per turn.
        size: the picture's (width, height).
    """
    result = np.ones((size[1], size[0]), dtype=bool)
    for edit in edits:
        result &= ~_covered(edit, size)
    return result


def _covered(edit: Edited, size: tuple[int, int]) -> Mask:
    """The pixels that are known to be an edit's."""
    if edit.mask is None or edit.everywhere:
        known = edit.everywhere or edit.region is not None
        edited = np.full((size[1], size[0]), known)
    else:
        edited = _grown(edit.mask, size, edit.token_side)
    return edited if edit.region is None else edited & (np.asarray(edit.region) > 0)


def measure(picture: Image.Image, anchor: Image.Image, where: Mask) -> DriftNumbers:
    """Drift of ``picture`` against ``anchor`` at the pixels ``where``. Both RGB, of one size."""
    change = difference(picture, anchor)[where]
    level = psnr(np.asarray(picture)[where], np.asarray(anchor)[where])
    return DriftNumbers(
        psnr=level if math.isfinite(level) else None,
        changed=float((change.max(axis=-1) > CHANGED_ABOVE).mean()) if change.size else 0.0,
        outside=float(where.mean()),
    )


def warning(turn: Turn) -> str | None:
    """One line if ``turn`` has drifted from the original further than ``WARN_BELOW``, else None.

    A turn made from the original itself never has: to rebase it would be to make it again.
    """
    numbers = turn.drift_original
    if turn.number < 2 or numbers is None or numbers.psnr is None or numbers.psnr >= WARN_BELOW:
        return None
    return (
        f"drift from the original is {numbers.text}: if that was not asked for, rebase on the original, "
        "or put parts of it back with a brush"
    )


def difference(a: Image.Image, b: Image.Image) -> NDArray[Any]:
    """|a - b| of 8-bit RGB pictures of one size, (height, width, 3) int16."""
    return np.abs(np.asarray(a, dtype=np.int16) - np.asarray(b, dtype=np.int16))


def enlarged(mask: Image.Image, size: tuple[int, int], token_side: int | None) -> Image.Image:
    """``mask``, one pixel per token, at the picture's ``size`` (width, height), the padding cropped away."""
    token = token_side or unrecorded_token_side(mask.size, size)
    return mask.resize((mask.width * token, mask.height * token), Image.Resampling.NEAREST).crop((0, 0, *size))


def covers(grid: tuple[int, int], size: tuple[int, int], token_side: int | None) -> bool:
    """Whether tokens of that side on ``grid`` (columns, rows) reach over the whole picture."""
    return token_side is None or all(cells * token_side >= pixels for cells, pixels in zip(grid, size, strict=True))


def unrecorded_token_side(grid: tuple[int, int], size: tuple[int, int]) -> int:
    """A token's side in pixels in sessions of version 0.1.0, which do not say it.

    All models of that version had the smallest power of two with which ``grid`` (columns, rows) covers the picture.
    """
    needed = max(math.ceil(size[0] / grid[0]), math.ceil(size[1] / grid[1]))
    return int(2 ** math.ceil(math.log2(needed)))


def _grown(mask: Image.Image, size: tuple[int, int], token_side: int | None) -> Mask:
    binary = mask.point([0] * 128 + [255] * 128)
    halves = binary.resize((mask.width * 2, mask.height * 2), Image.Resampling.NEAREST)
    grown = halves.filter(ImageFilter.MaxFilter(3))
    token = token_side or unrecorded_token_side(mask.size, size)
    return np.asarray(grown.resize((mask.width * token, mask.height * token), Image.Resampling.NEAREST))[
        : size[1], : size[0]
    ].astype(bool)
