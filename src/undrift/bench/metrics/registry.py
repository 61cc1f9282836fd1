"""Finds the metrics: what the modules of this package, and plug-ins, name in ``METRICS``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from undrift.bench.metrics.base import Measure
from undrift.discovery import look_up, modules, named
from undrift.errors import InputError


@cache
def all_metrics() -> Mapping[str, Measure]:
    """Every metric by name, sorted."""
    own = (metric for module in modules("undrift.bench.metrics") for metric in getattr(module, "METRICS", ()))
    return named(own, "undrift.metrics", _offered)


def get(name: str) -> Measure:
    """The metric ``name``.

    Raises:
        InputError: no such metric; the message says what exists.
    """
    return look_up("metric", name, all_metrics())


def _offered(value: object) -> Iterable[Measure]:
    metrics = value if isinstance(value, tuple | list) else (value,)
    if not all(isinstance(metric, Measure) for metric in metrics):
        raise InputError(f"it is {value!r}, expected metrics, or a tuple of them")
    return metrics
