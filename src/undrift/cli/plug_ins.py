"""Commands of packages installed beside undrift; each is imported only when it is run or listed."""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

import click

from undrift.discovery import described, load

log = logging.getLogger(__name__)


@cache
def offered() -> Mapping[str, EntryPoint]:
    """The commands by name, none of them imported yet; of two with one name the first package's."""
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group="undrift.commands"), key=lambda e: (e.name, described(e))):
        if found.setdefault(entry.name, entry) is not entry:
            _name_taken(entry)
    return found


def check_names(taken: Container[str]) -> None:
    """Warn of every command whose name is ``taken`` by undrift's own, which it never replaces."""
    for entry in offered().values():
        if entry.name in taken:
            _name_taken(entry)


def _name_taken(entry: EntryPoint) -> None:
    log.warning("%s is left out: there is a '%s' already", described(entry), entry.name)


@cache
def command(name: str) -> click.Command | None:
    """The command ``name``; None if no package has it, or, after a warning, if it cannot be used."""
    entry = offered().get(name)
    found = None if entry is None else load(entry)
    if found is None or isinstance(found, click.Command):
        return found
    log.warning("%s is left out: it is %r, expected a click command", described(offered()[name]), found)
    return None
