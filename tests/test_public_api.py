"""The names that users import, and that they are there."""

from __future__ import annotations

import pytest

import undrift

NAMES = [
    "Backbone",
    "EditMethod",
    "EditPlan",
    "EditRequest",
    "EditResult",
    "Reading",
    "Session",
    "Turn",
    "UndriftError",
    "__version__",
    "all_methods",
    "load",
    "run_turn",
    "start_session",
    "understand",
]


def test_public_names_are_pinned() -> None:
    assert undrift.__all__ == NAMES
    assert dir(undrift) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_public_name_resolves(name: str) -> None:
    assert getattr(undrift, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'undrift' has no attribute 'nothing'"):
        getattr(undrift, "nothing")  # noqa: B009
