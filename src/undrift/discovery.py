"""Finds what a package offers by looking into its modules, so that there is no list to keep."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import TypeVar

from undrift.errors import InputError

T = TypeVar("T")


def classes(package: ModuleType, base: type[T]) -> Iterator[type[T]]:
    """The subclasses of ``base`` that the modules of ``package`` hold, imported ones included."""
    for module in pkgutil.iter_modules(package.__path__):
        for value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, base):
                yield value


def named_classes(package: ModuleType, base: type[T]) -> Mapping[str, type[T]]:
    """The subclasses of ``base`` in the modules of ``package`` that have a ``name`` of their own, sorted by it."""
    found = {str(vars(value)["name"]): value for value in classes(package, base) if "name" in vars(value)}
    return dict(sorted(found.items()))


def look_up(what: str, name: str, known: Mapping[str, T]) -> T:
    """``known[name]``.

    Raises:
        InputError: there is none; the message suggests a close name and lists all.
    """
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise InputError(f"no {what} '{name}': {hint}known are {', '.join(known)}")
