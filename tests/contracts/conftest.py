"""The models that the contracts are tested on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.slow_cases import REPRESENTATIVE
from tests.support.small_joint import small_joint
from tests.support.tiny_pipelines import FAMILIES, loaded
from tests.support.tiny_sd import tiny_sd
from tests.support.tiny_sdxl import tiny_sdxl
from undrift.backbones import Backbone

QUICK = ("flux", "small-joint")
"""Two models that share no convention; what holds on both hardly ever fails on the others."""
MODELS = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in ("sd", "sdxl", *FAMILIES))]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On the second model, what no other method does is quick, and the rest slow."""
    for item in items:
        if isinstance(item, pytest.Function) and item.path.is_relative_to(Path(__file__).parent):
            given = item.callspec.params if hasattr(item, "callspec") else {}
            if given.get("backbone") == QUICK[1] and given.get("name") not in {None, *REPRESENTATIVE}:
                item.add_marker(pytest.mark.slow)


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
