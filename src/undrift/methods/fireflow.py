"""FireFlow (arXiv 2412.07517): second-order accuracy at the price of Euler, values of the inversion in one step."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from undrift.flow import ReusedMidpoint
from undrift.methods.base import Dial, Params
from undrift.methods.value_sharing import ValueSharing, ValueSharingParams


class FireFlow(ValueSharing):
    """The midpoint whose half step reuses the previous midpoint velocity: 2 (N + 1) evaluations a turn.

    w <- v(x + h/2 w, sigma + h/2), x <- x + h w; in the first ``inject_steps`` sampling steps the late single blocks
    attend with V <- V of the inversion.

    Source: Deng et al. 2024, "FireFlow: Fast Inversion of Rectified Flow for Image Semantic Editing",
    arXiv 2412.07517, algorithm 1. Only midpoint evaluations exist to share, so each shared step changes one
    evaluation and the very first evaluation of the sampling runs clean.
    """

    name: ClassVar[str] = "fireflow"
    title: ClassVar[str] = "FireFlow"
    paper: ClassVar[str] = "FireFlow: Fast Inversion of Rectified Flow, arXiv 2412.07517"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {
            "default": ValueSharingParams(steps=8, inject_steps=1),
            "all-blocks": ValueSharingParams(steps=8, inject_steps=1, shared_blocks=38),
            "pie-bench": ValueSharingParams(steps=15, inject_steps=2),
        }
    )
    dial: ClassVar[Dial] = MappingProxyType({"guidance": (4.5, 1.5), "inject_steps": (0, 4)})

    solver: ClassVar[ReusedMidpoint] = ReusedMidpoint()
