"""PIE-Bench's background and structure metrics, each as the official evaluator computes it and as it was meant.

``-compat`` repeats the evaluator, for comparison with published numbers: what lies inside the mask is painted black
in both pictures and then averaged over as if it were right, so a small background flatters. Without the suffix only
the background counts. Both compare with the original outside of the masks of all turns so far, which at turn 1 is
PIE-Bench's own definition; where the mask is unknown, as in PIE-Bench's later turns, they give None. Units follow
the paper's tables. One difference remains: the evaluator reads its pictures back from JPEG files, and this does
not. Source: Ju et al. 2024 (PnP Inversion).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from PIL import Image

from undrift.bench.case import Mask
from undrift.bench.metrics import lpips as lpips_network
from undrift.bench.metrics.base import Metric, Outcome, TurnMetric
from undrift.bench.metrics.clip_scores import L14, fits_prompt
from undrift.bench.metrics.pixels import Pixels, grown, pixels, pixels_of
from undrift.bench.metrics.similarity import REACH, mirrored, ssim_map
from undrift.bench.metrics.structure import structure_distances
from undrift.bench.metrics.weights import DINO_B8
from undrift.comparison import bounded_psnr


class PieMetric(TurnMetric):
    """A number of the picture, the original and the background, 0 < background < all."""

    group = "pie-bench"

    def score_one(self, outcome: Outcome) -> float | None:
        mask = outcome.case.mask_since_original(outcome.turn)
        if mask is None or mask.all():
            return None
        picture, original = pixels_of(outcome.picture, outcome.original)
        return self.number(picture, original, ~mask)

    @abstractmethod
    def number(self, picture: Pixels, original: Pixels, background: Mask) -> float | None:
        """Of values (height, width, 3) from 0 to 255."""


class PiePsnrCompat(PieMetric):
    """PSNR with the squared error averaged over the whole picture, zeros inside the mask; 99 if nothing differs."""

    name, title, unit = "pie-psnr-compat", "PSNR outside (PIE-Bench, compat)", "dB"
    higher_is_better = True

    def number(self, picture: Pixels, original: Pixels, background: Mask) -> float:
        return bounded_psnr(blackened(picture, background), blackened(original, background))


class PiePsnr(PieMetric):
    """PSNR over the background alone: lower than compat by 10 log10 (1 / share of the background)."""

    name, title, unit = "pie-psnr", "PSNR outside (PIE-Bench)", "dB"
    higher_is_better = True

    def number(self, picture: Pixels, original: Pixels, background: Mask) -> float:
        return bounded_psnr(picture[background], original[background])


class PieMseCompat(PieMetric):
    """Squared error of values from 0 to 1, averaged over the whole picture, zeros inside the mask."""

    name, title, unit = "pie-mse-compat", "MSE outside (PIE-Bench, compat)", "10⁻⁴"
    higher_is_better = False

    def number(self, picture: Pixels, original: Pixels, background: Mask) -> float:
        return _squared_error(blackened(picture, background), blackened(original, background))


class PieMse(PieMetric):
    """Squared error over the background alone: compat divided by the background's share of the picture."""

    name, title, unit = "pie-mse", "MSE outside (PIE-Bench)", "10⁻⁴"
    higher_is_better = False

    def number(self, picture: Pixels, original: Pixels, background: Mask) -> float:
        return _squared_error(picture[background], original[background])


class PieSsimCompat(PieMetric):
    """SSIM of the pictures painted black inside the mask, where every window then counts as 1.

    As torchmetrics 1.9 has it, with mirrored borders; other versions treat the border otherwise.
    """

    name, title, unit = "pie-ssim-compat", "SSIM outside (PIE-Bench, compat)", "10⁻²"
    higher_is_better = True

    def number(self, picture: Pixels, original: Pixels, background: Mask) -> float:
        shown = (mirrored(blackened(values, background)) for values in (picture, original))
        return 100.0 * float(ssim_map(*shown).mean())


class PieSsim(PieMetric):
    """SSIM of the windows that lie in the background entirely; None if there is none."""

    name, title, unit = "pie-ssim", "SSIM outside (PIE-Bench)", "10⁻²"
    higher_is_better = True

    def number(self, picture: Pixels, original: Pixels, background: Mask) -> float | None:
        inner = ~grown(~background, REACH)[REACH:-REACH, REACH:-REACH]
        return 100.0 * float(ssim_map(picture, original)[inner].mean()) if inner.any() else None


class PieLpipsCompat(PieMetric):
    """LPIPS (SqueezeNet) of the pictures painted black inside the mask."""

    name, title, unit = "pie-lpips-squeeze-compat", "LPIPS outside (PIE-Bench, compat)", "10⁻³"
    higher_is_better = False

    def missing(self) -> str | None:
        return lpips_network.missing()

    def number(self, picture: Pixels, original: Pixels, background: Mask) -> float:
        return 1000.0 * _lpips(blackened(picture, background), blackened(original, background))


class PieLpips(PieMetric):
    """LPIPS (SqueezeNet) with the original pasted into the mask, divided by the background's share of the picture."""

    name, title, unit = "pie-lpips-squeeze", "LPIPS outside (PIE-Bench)", "10⁻³"
    higher_is_better = False

    def missing(self) -> str | None:
        return lpips_network.missing()

    def number(self, picture: Pixels, original: Pixels, background: Mask) -> float:
        kept = np.where(background[..., None], picture, original)
        return 1000.0 * _lpips(kept, original) / float(background.mean())


class PieStructureCompat(Metric):
    """Structure distance of the whole picture to the original, on values from 0 to 255 (see ``structure.py``)."""

    name, title, unit = "pie-structure-compat", "Structure distance (PIE-Bench, compat)", "10⁻³"
    higher_is_better = False
    group = "pie-bench"
    compat: ClassVar[bool] = True

    def missing(self) -> str | None:
        return DINO_B8.missing()

    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        pairs = [(outcome.picture, outcome.original) for outcome in outcomes]
        return [1000.0 * distance for distance in structure_distances(pairs, compat=self.compat)]


class PieStructure(PieStructureCompat):
    """Structure distance of the whole picture to the original, on values from 0 to 1, resized with antialiasing."""

    name, title, compat = "pie-structure", "Structure distance (PIE-Bench)", False


class PieClipWhole(Metric):
    """CLIP-T of the whole picture, the same number as clip-t-vit-l14; here the evaluator is right."""

    name, title = "pie-clip-whole-vit-l14", "CLIP whole (PIE-Bench)"
    higher_is_better = True
    group = "pie-bench"

    def missing(self) -> str | None:
        return L14.missing()

    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        shown = [self.shown(outcome) for outcome in outcomes]
        known = [(picture, outcome) for picture, outcome in zip(shown, outcomes, strict=True) if picture is not None]
        found = iter(fits_prompt(L14, [picture for picture, _ in known], [outcome for _, outcome in known]))
        return [None if picture is None else next(found) for picture in shown]

    def shown(self, outcome: Outcome) -> Image.Image | None:
        """What CLIP looks at; None where it is unknown."""
        return outcome.picture


class PieClipEditedCompat(PieClipWhole):
    """CLIP-T of the picture painted black outside of the mask."""

    name, title = "pie-clip-edited-vit-l14-compat", "CLIP edited (PIE-Bench, compat)"

    def shown(self, outcome: Outcome) -> Image.Image | None:
        mask = outcome.case.mask_since_original(outcome.turn)
        if mask is None or not mask.any():
            return None
        return Image.fromarray(blackened(pixels(outcome.picture), mask).astype(np.uint8))


class PieClipEdited(PieClipWhole):
    """CLIP-T of the smallest rectangle that holds the mask."""

    name, title = "pie-clip-edited-vit-l14", "CLIP edited (PIE-Bench)"

    def shown(self, outcome: Outcome) -> Image.Image | None:
        mask = outcome.case.mask_since_original(outcome.turn)
        return None if mask is None or not mask.any() else outcome.picture.crop(_box(mask))


def blackened(values: Pixels, kept: Mask) -> Pixels:
    """``values`` with black where ``kept`` is False."""
    return values * kept[..., None]


def _squared_error(a: Pixels, b: Pixels) -> float:
    return 1e4 * float(np.square((a - b) / 255.0).mean())


def _lpips(a: Pixels, b: Pixels) -> float:
    first, second = (torch.from_numpy(v / 127.5 - 1.0).permute(2, 0, 1)[None].float() for v in (a, b))
    return lpips_network.lpips(first, second)[0]


def _box(mask: Mask) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the smallest rectangle that holds the mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


METRICS = (
    PiePsnrCompat(),
    PiePsnr(),
    PieMseCompat(),
    PieMse(),
    PieSsimCompat(),
    PieSsim(),
    PieLpipsCompat(),
    PieLpips(),
    PieStructureCompat(),
    PieStructure(),
    PieClipWhole(),
    PieClipEditedCompat(),
    PieClipEdited(),
)
