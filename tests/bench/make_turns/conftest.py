from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.bench.layouts import sequences, write_pie


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PIE-Bench with five pictures. Read only."""
    folder = tmp_path_factory.mktemp("pie") / "data"
    write_pie(folder, sequences(5))
    return folder


@pytest.fixture
def data(drawn: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(drawn, tmp_path / "data")
