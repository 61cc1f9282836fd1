"""Finds the methods: every ``EditMethod`` with a name in a module of this package, no list to keep."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import undrift.methods as package
from undrift.discovery import look_up, named_classes
from undrift.methods.base import EditMethod

DEFAULT = "multi_turn"
"""The method of a turn that names none."""


@cache
def all_methods() -> Mapping[str, type[EditMethod]]:
    """Every method by name, sorted."""
    return named_classes(package, EditMethod)  # type: ignore[type-abstract]


def get(
    name: str = DEFAULT,
    preset: str = "default",
    overrides: Mapping[str, Any] | None = None,
    tuned: Mapping[str, Mapping[str, Any]] | None = None,
) -> EditMethod:
    """The method ``name`` with a preset's parameters, the model's tuned values and then ``overrides``.

    Args:
        name: see ``all_methods``.
        preset: one of the method's presets. ``tuned`` applies to the preset ``default`` alone: the others
            promise a source's exact numbers.
        overrides: parameters by name; strings are parsed.
        tuned: parameters per method name, as ``Backbone.tuned`` declares them.

    Raises:
        InputError: no such method, preset or parameter, or a value out of range; the message says what exists.
    """
    cls = look_up("method", name, all_methods())
    params = look_up(f"preset of {name}", preset, cls.presets)
    if preset == "default" and tuned is not None:
        params = params.updated(tuned.get(name, {}))
    return cls(params.updated(overrides or {})).resolved(tuned)
