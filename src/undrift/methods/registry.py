"""Finds the methods: every ``EditMethod`` with a name in a module of this package, no list to keep."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import undrift.methods as package
from undrift.errors import InputError
from undrift.methods.base import EditMethod

T = TypeVar("T")

DEFAULT = "multi_turn"
"""The method of a turn that names none."""


@cache
def all_methods() -> Mapping[str, type[EditMethod]]:
    """Every method by name, sorted."""
    found: dict[str, type[EditMethod]] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, EditMethod) and "name" in vars(value):
                found[value.name] = value
    return dict(sorted(found.items()))


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
    cls = _lookup("method", name, all_methods())
    params = _lookup(f"preset of {name}", preset, cls.presets)
    if preset == "default" and tuned is not None:
        params = params.updated(tuned.get(name, {}))
    return cls(params.updated(overrides or {})).resolved(tuned)


def _lookup(what: str, name: str, known: Mapping[str, T]) -> T:
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise InputError(f"no {what} '{name}': {hint}known are {', '.join(known)}")
