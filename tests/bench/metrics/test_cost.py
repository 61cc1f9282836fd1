"""Costs come from the record as it is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.metrics.outcomes import PhotoCase, noise, scored, single


@pytest.mark.parametrize(
    ("name", "record", "expected"),
    [
        ("nfe", {"evaluations": 28}, 28.0),
        ("sample-evaluations", {"evaluations": 28, "sample_evaluations": 56}, 56.0),
        ("seconds", {"seconds": 1.5}, 1.5),
        ("seconds", {"seconds": 1.5, "shared": 14}, None),
        ("peak-memory", {"peak_memory": 3 * 2**20}, 3.0),
        ("peak-memory", {}, None),
    ],
)
def test_costs(name: str, record: dict[str, Any], expected: float | None) -> None:
    assert scored(name, [single(PhotoCase(noise(0)), 1, noise(1), noise(0), **record)]) == [expected]
