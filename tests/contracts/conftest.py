"""The models that the contracts are tested on."""

from __future__ import annotations

import pytest

from tests.support.small_joint import small_joint
from tests.support.tiny_pipelines import FAMILIES, loaded
from tests.support.tiny_sd import tiny_sd
from tests.support.tiny_sdxl import tiny_sdxl
from undrift.backbones import Backbone

QUICK = ("flux", "small-joint")
"""Two models that share no convention; what holds on both hardly ever fails on the others."""
MODELS = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in ("sd", "sdxl", *FAMILIES))]


@pytest.fixture(params=MODELS)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    """A tiny random model of every family, and one with none of their conventions."""
    if request.param == "sd":
        return tiny_sd()
    if request.param == "sdxl":
        return tiny_sdxl()
    if request.param == "small-joint":
        return small_joint()
    if request.param in FAMILIES:
        return loaded(request.param)
    flux: Backbone = request.getfixturevalue("tiny_flux")
    return flux
