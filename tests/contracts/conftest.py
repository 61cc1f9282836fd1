"""The models that the contracts are tested on."""

from __future__ import annotations

import pytest

from tests.support.small_joint import small_joint
from undrift.backbones import Backbone


@pytest.fixture(params=["flux", "small-joint"])
def backbone(request: pytest.FixtureRequest) -> Backbone:
    """A tiny random FLUX, and a model with none of its conventions."""
    if request.param == "small-joint":
        return small_joint()
    flux: Backbone = request.getfixturevalue("tiny_flux")
    return flux
