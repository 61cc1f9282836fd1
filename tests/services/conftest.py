"""A studio with a toy model, for services to be tried on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.toy import ToyBackbone, ToyMethod
from undrift.methods import registry
from undrift.studio.studio import Studio


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """A studio over an empty folder; the method of a turn that names none is the toy's."""
    known = {**registry.all_methods(), "toy": ToyMethod}
    monkeypatch.setattr(registry, "all_methods", lambda: known)
    monkeypatch.setattr(registry, "DEFAULT", "toy")
    folder = tmp_path / "sessions"
    folder.mkdir()
    return Studio(ToyBackbone(), folder)
