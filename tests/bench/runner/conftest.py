from __future__ import annotations

import pytest
import torch

from tests.bench.runner.support import Failing
from undrift.backbones import Backbone, load
from undrift.methods import registry


@pytest.fixture(scope="session")
def littleworld() -> Backbone:
    """The embedded model, on one thread."""
    torch.set_num_threads(1)
    return load("littleworld")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> type[Failing]:
    """The method ``failing`` among the others; it fails nowhere yet."""
    known = {**registry.all_methods(), "failing": Failing}
    monkeypatch.setattr(registry, "all_methods", lambda: known)
    monkeypatch.setattr(Failing, "fails_at", set())
    monkeypatch.setattr(Failing, "seen", [])
    return Failing
