"""Pixels that hardly changed are put back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from undrift.backbones.base import Backbone
from undrift.flow import Observer
from undrift.methods.base import Dial, EditRequest, EditResult, OddSide, Params
from undrift.methods.wrapper import Wrapper, WrapperParams


class RevertUnchangedParams(WrapperParams):
    """Parameters of ``revert_unchanged``."""

    threshold: float = Field(
        0.03, ge=0, le=1, description="mean |change| over RGB in [0, 1] below which pixels revert"
    )
    smoothing: OddSide = Field(5, description="side in pixels, odd, of the square over which the change is averaged")


class RevertUnchanged(Wrapper):
    """Y = X_{k-1} where the smoothed |Y - X_{k-1}| < threshold, pixel by pixel, on top of any method.

    Source: the per-edit thresholding of Sheynin et al. 2023, "Emu Edit", arXiv 2311.10089, section on sequential
    edits. The pictures returned hold the reverted pixels bit for bit; the latent is their encoding.
    """

    name: ClassVar[str] = "revert_unchanged"
    title: ClassVar[str] = "Revert unchanged pixels"
    paper: ClassVar[str] = "Emu Edit (thresholding between turns), arXiv 2311.10089"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType({"default": RevertUnchangedParams()})
    dial: ClassVar[Dial] = MappingProxyType({"threshold": (0.0, 0.3)})
    params: RevertUnchangedParams

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p = self.params
        result = self.inner().edit(backbone, request, observers)
        before = request.previous_images or backbone.decode(request.previous)
        after = result.images or backbone.decode(result.latent)
        images = tuple(reverted(a, b, p.threshold, p.smoothing) for a, b in zip(before, after, strict=True))
        return replace(result, latent=backbone.encode(images), images=images)


def reverted(before: Image.Image, after: Image.Image, threshold: float, smoothing: int) -> Image.Image:
    """``after`` with the pixels of ``before`` where the two differ by less than ``threshold``.

    Args:
        before, after: pictures of one size.
        threshold: of the absolute difference, mean over RGB in [0, 1].
        smoothing: odd side of the box that averages the difference.
    """
    old, new = np.asarray(before.convert("RGB")), np.asarray(after.convert("RGB"))
    change = torch.from_numpy(np.abs(new.astype(np.float32) - old).mean(-1) / 255.0)
    kept = (_smoothed(change, smoothing) < threshold).numpy()[..., None]
    return Image.fromarray(np.where(kept, old, new))


def _smoothed(change: Tensor, side: int) -> Tensor:
    # Pixels beyond the border count for nothing, so that the border is judged by what is there.
    return functional.avg_pool2d(change[None], side, stride=1, padding=side // 2, count_include_pad=False)[0]
