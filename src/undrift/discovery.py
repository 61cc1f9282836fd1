"""Finds what there is: in the modules of a package, and in packages installed beside undrift. No list to keep.

A package that is to add something names it under one of the entry-point groups ``undrift.methods``,
``undrift.backbones``, ``undrift.suites``, ``undrift.metrics`` and ``undrift.commands`` (docs/extending.md).
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import logging
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TypeVar

from undrift.errors import InputError

log = logging.getLogger(__name__)

T = TypeVar("T")


def modules(package: str) -> Iterator[ModuleType]:
    """The modules directly in ``package``, imported."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        yield importlib.import_module(f"{package}.{module.name}")


def classes(package: str, base: type[T]) -> Iterator[type[T]]:
    """The subclasses of ``base`` that the modules of ``package`` define."""
    for module in modules(package):
        for value in vars(module).values():
            if is_subclass(value, base) and value.__module__ == module.__name__:
                yield value


def is_subclass(value: object, base: type) -> bool:
    """Whether ``value`` is a class derived from ``base``."""
    return isinstance(value, type) and issubclass(value, base)


def plug_ins(group: str) -> Iterator[tuple[EntryPoint, object]]:
    """What installed packages offer under the entry-point ``group``, imported.

    One that cannot be imported is named in a warning and left out: a broken plug-in must not stop undrift.
    """
    for entry in entry_points(group=group):
        loaded = load(entry)
        if loaded is not None:
            yield entry, loaded


def load(entry: EntryPoint) -> object | None:
    """What ``entry`` names; None, after a warning, if it cannot be imported."""
    try:
        loaded: object = entry.load()
    except Exception as error:  # a plug-in may raise whatever it likes
        log.warning("%s is left out: %s: %s", described(entry), type(error).__name__, error)
        log.debug("the plug-in's traceback", exc_info=True)
        return None
    return loaded


def described(entry: EntryPoint) -> str:
    """A plug-in in words."""
    owner = f" of package '{entry.dist.name}'" if entry.dist is not None else ""
    return f"plug-in '{entry.name}'{owner} ({entry.group})"


def named(own: Iterable[T], group: str, offered: Callable[[object], Iterable[T]]) -> Mapping[str, T]:
    """What there is by its ``name``, sorted; a plug-in never takes the place of what is there already.

    Args:
        own: undrift's.
        group: the entry points' group.
        offered: what a plug-in's object offers; it raises InputError where that is nothing of the sort.
    """
    found = {name_of(value): value for value in own}
    for entry, value in plug_ins(group):
        try:
            each_offered = list(offered(value))
        except InputError as error:
            log.warning("%s is left out: %s", described(entry), error)
            continue
        for each in each_offered:
            if found.setdefault(name_of(each), each) is not each:
                log.warning("%s is left out: there is a '%s' already", described(entry), name_of(each))
    return dict(sorted(found.items()))


def named_classes(package: str, base: type[T], group: str) -> Mapping[str, type[T]]:
    """The subclasses of ``base`` that have a ``name`` of their own, undrift's and those of plug-ins."""

    def offered(value: object) -> Iterable[type[T]]:
        if not isinstance(value, type) or "name" not in vars(value):
            raise InputError(f"it is {value!r}, expected a subclass of {base.__name__} with a name")
        return [whole(value, base)]

    own = (value for value in classes(package, base) if "name" in vars(value))
    return named(own, group, offered)


def whole(value: object, base: type[T]) -> type[T]:
    """``value``, if it is a subclass of ``base`` with everything that one must have.

    Raises:
        InputError: it is none, or a method or a class attribute that ``base`` only declares is missing.
    """
    if not (isinstance(value, type) and issubclass(value, base)):
        raise InputError(f"it is {value!r}, expected a subclass of {base.__name__}")
    declared = [name for name, hint in inspect.get_annotations(base).items() if "ClassVar" in str(hint)]
    missing = [name for name in declared if not hasattr(value, name)]
    missing += sorted(getattr(value, "__abstractmethods__", ()))
    if missing:
        raise InputError(f"{value.__name__} lacks {', '.join(missing)}")
    return value


def name_of(value: object) -> str:
    """What a user calls it."""
    return str(getattr(value, "name"))  # noqa: B009


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
