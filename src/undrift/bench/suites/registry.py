"""Finds the suites and opens them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from undrift.bench.case import Case
from undrift.bench.suites.base import Suite, SuiteSpec
from undrift.discovery import look_up, named_classes
from undrift.errors import InputError


@cache
def all_suites() -> Mapping[str, type[Suite]]:
    """Every suite by name, sorted."""
    return named_classes("undrift.bench.suites", Suite, "undrift.suites")  # type: ignore[type-abstract]


def open_suite(spec: SuiteSpec) -> Sequence[Case]:
    """The cases of a specification, cut to its ``limit`` and ``turns``.

    Raises:
        InputError: no such suite or variant, missing or wrong data, or nothing left to do.
    """
    suite = look_up("suite", spec.name, all_suites())
    look_up(f"variant of {spec.name}", spec.variant, suite.variants)
    cases = suite(spec).cases()[: spec.limit]
    if spec.turns is not None:
        cases = [case.shortened(spec.turns) for case in cases]
    if not any(case.turns for case in cases):
        raise InputError(f"suite {spec.name}:{spec.variant} has no turns to make with limit {spec.limit}")
    return cases
