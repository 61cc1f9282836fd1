"""Which cases of a test are quick: where many models or methods are put through one test, hardly ever all are."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest

REPRESENTATIVE = {"undrift", "multi_turn", "fireflow", "flowedit", "steerflow", "stable_flow"}
"""Methods for quick tests of all: between them they capture maps, highlight, share features, move by differences,
correct at every step and choose vital layers."""


def slow_but_for(quick: Collection[Any], cases: Iterable[Any]) -> list[Any]:
    """``cases`` for ``pytest.mark.parametrize``, in their order, all marked slow but those in ``quick``.

    Args:
        quick: cases that ``make test-fast`` runs.
        cases: single values, or tuples of several.
    """
    return [case if case in quick else pytest.param(*_values(case), marks=pytest.mark.slow) for case in cases]


def _values(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)
