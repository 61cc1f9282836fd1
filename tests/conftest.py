"""Fixtures that several folders of tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.memory import memory_folder
from undrift.backbones import Backbone, load

# A busy machine must not fail a property, and a failure must come back in the next run.
settings.register_profile("undrift", deadline=None, derandomize=True)
settings.load_profile("undrift")

RARELY = (10_000, 10, 10)
"""When Python looks for garbage (``gc.set_threshold``): its own 700 objects are a test's work."""


def pytest_configure() -> None:
    """``tmp_path`` is in memory: sessions wait for the disk at every turn, which no test is about."""
    if (memory := memory_folder()) is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported for the tests stays until they end: looking for garbage in it takes seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(*RARELY)


@pytest.fixture(scope="session", autouse=True)
def state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests name models' folders, which is nothing that the user's own state should remember."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("UNDRIFT_SOCKET", "")  # nor should they run in the user's own undrift serve
        yield


@pytest.fixture(scope="session")
def tiny_flux_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FLUX pipeline folder with real classes, tiny and random (see ``tests.support.tiny_flux``). Read only."""
    from tests.support.tiny_flux import save_tiny_flux

    return save_tiny_flux(tmp_path_factory.mktemp("tiny") / "flux")


@pytest.fixture(scope="session")
def tiny_flux(tiny_flux_folder: Path) -> Backbone:
    """The tiny pipeline loaded on the CPU in float32."""
    return load(str(tiny_flux_folder), device="cpu")
