"""Nothing that was recorded lies there unused. Runs after the other golden files, whose comparisons it counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests.support import golden

OTHERS = {path.name for path in Path(__file__).parent.glob("test_golden_*.py")} - {Path(__file__).name}


def test_every_recorded_array_has_been_compared(request: pytest.FixtureRequest) -> None:
    collected = {item.path.name for item in request.session.items}
    spread = "PYTEST_XDIST_WORKER" in os.environ
    chosen = request.config.getoption("keyword") or request.config.getoption("markexpr")
    if not collected >= OTHERS or chosen or spread:
        pytest.skip(
            "counts what the other golden tests compare: run the whole folder, slow tests included, in one process"
        )
    assert golden.unchecked() == []


def test_an_array_counts_only_once_something_agreed_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "_COMPARED", set())
    array = golden.arrays("mtc")["mtc_8_inverted"]
    with pytest.raises(AssertionError, match="not close"):
        golden.close(torch.zeros_like(array), array)
    assert "mtc:mtc_8_inverted" in golden.unchecked()
    golden.close(array + 1e-5, array)
    assert "mtc:mtc_8_inverted" not in golden.unchecked()
    assert [name for name in golden.unchecked() if "noise" in name or ":x0" in name] == []
