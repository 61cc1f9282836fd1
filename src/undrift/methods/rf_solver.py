"""RF-Solver and RF-Edit (arXiv 2411.04746): second-order inversion, values of the inversion in the first steps."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from undrift.flow import Midpoint
from undrift.methods.base import Dial, Params
from undrift.methods.value_sharing import ValueSharing, ValueSharingParams


class RFSolver(ValueSharing):
    """The second-order Taylor step, which is the explicit midpoint: two evaluations a step, 4 N a turn.

    x <- x + h v(x + h/2 v(x, sigma), sigma + h/2); in the first ``inject_steps`` sampling steps the late single
    blocks attend with V <- V of the inversion.

    Source: Wang et al. 2024, "Taming Rectified Flow for Inversion and Editing", arXiv 2411.04746, equation 10 (step)
    and section 3.3 (sharing of values). The first evaluation of a shared step receives the values that the
    inversion computed at the cleaner end of the same interval, as in the published code.
    """

    name: ClassVar[str] = "rf_solver"
    title: ClassVar[str] = "RF-Solver (RF-Edit)"
    paper: ClassVar[str] = "Taming Rectified Flow for Inversion and Editing, arXiv 2411.04746"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {
            "default": ValueSharingParams(steps=25, inject_steps=5),
            "short": ValueSharingParams(steps=15, inject_steps=2),
        }
    )
    dial: ClassVar[Dial] = MappingProxyType({"guidance": (4.5, 1.0), "inject_steps": (0, 10)})

    solver: ClassVar[Midpoint] = Midpoint()
