"""Finds the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import undrift.bench.metrics as package
from undrift.bench.metrics.base import Measure
from undrift.discovery import look_up, named_classes


@cache
def all_metrics() -> Mapping[str, type[Measure]]:
    """Every metric by name, sorted."""
    return named_classes(package, Measure)


def get(name: str) -> Measure:
    """The metric ``name``.

    Raises:
        InputError: no such metric; the message says what exists.
    """
    return look_up("metric", name, all_metrics())()
