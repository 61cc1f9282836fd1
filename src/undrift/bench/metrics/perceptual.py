"""A distance of pictures in the features of a network, built as LPIPS is but without its fitted weights.

d(a, b) = mean over stages and places of || f(a) / ||f(a)|| - f(b) / ||f(b)|| ||^2, the norms over the channels: 0 for
equal pictures, 4 at most. Source: Zhang et al. 2018, equation 1, all weights equal. It is not LPIPS, and its numbers
compare with none but its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from undrift.bench.case import Mask
from undrift.bench.metrics.pixels import pixels_of

Stages = Callable[[Sequence[Image.Image]], list[Tensor]]
"""Pictures to features (N, C, H, W) from fine to coarse."""

_TOGETHER = 32


def perceptual_distances(stages: Stages, pairs: Sequence[tuple[Image.Image, Image.Image]]) -> list[float]:
    """d of every pair of pictures of one size; pairs of the same size beside one another go together."""
    found: list[float] = []
    for _, alike in groupby(pairs, key=lambda pair: pair[0].size):
        for part in _batches(list(alike)):
            firsts, seconds = (stages(pictures) for pictures in zip(*part, strict=True))
            distances = [_stage_distance(a, b) for a, b in zip(firsts, seconds, strict=True)]
            found += torch.stack(distances).mean(0).tolist()
    return found


def pasted(picture: Image.Image, other: Image.Image, mask: Mask) -> Image.Image:
    """``picture`` with what lies inside ``mask`` taken from ``other``: only the outside can differ from it."""
    outside, inside = pixels_of(picture, other)
    return Image.fromarray(np.where(mask[..., None], inside, outside).astype(np.uint8))


def _batches(pairs: list[tuple[Image.Image, Image.Image]]) -> Iterator[list[tuple[Image.Image, Image.Image]]]:
    for start in range(0, len(pairs), _TOGETHER):
        yield pairs[start : start + _TOGETHER]


def _stage_distance(a: Tensor, b: Tensor) -> Tensor:
    difference = functional.normalize(a, dim=1) - functional.normalize(b, dim=1)
    return difference.square().sum(1).mean((1, 2))
