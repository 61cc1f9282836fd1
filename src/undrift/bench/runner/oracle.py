"""Methods that are told the true mask of every turn: the best that any mask could do for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from undrift.backbones.base import Geometry, Latent
from undrift.bench.case import Case
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.errors import InputError
from undrift.session import region


@cache
def knows_masks(suite: SuiteSpec) -> bool:
    """Whether the suite's cases have a true mask for every turn, as its first one does or does not.

    Raises:
        InputError: see ``open_suite``.
    """
    (first, *_) = open_suite(suite.model_copy(update={"limit": 1}))
    return all(first.mask(turn) is not None for turn in range(1, first.turns + 1))


def true_region(case: Case, turn: int) -> Image.Image:
    """Where ``turn`` was to change the picture, L: white where it may.

    Raises:
        InputError: nobody knows.
    """
    mask = case.mask(turn)
    if mask is None:
        raise InputError(f"case {case.id} has no true mask for turn {turn}: an oracle cannot be told it")
    return Image.fromarray(mask.astype(np.uint8) * 255)


def editable(regions: Sequence[Image.Image], geometry: Geometry) -> Tensor:
    """``EditRequest.editable_tokens`` of a batch."""
    return torch.cat([region.changeable(each, geometry) for each in regions])


def kept(
    allowed: Image.Image, made: tuple[Image.Image, Latent], before: tuple[Image.Image, Latent]
) -> tuple[Image.Image, Latent]:
    """What was made within a region, what was before outside it to the bit: as a session does with ``--only``."""
    weight = region.weights(allowed)
    return region.blended(made[0], before[0], weight), region.blended_latent(made[1], before[1], weight)
