from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.layouts import sequences, write_pie


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """PIE-Bench with five pictures."""
    write_pie(tmp_path / "data", sequences(5))
    return tmp_path / "data"
