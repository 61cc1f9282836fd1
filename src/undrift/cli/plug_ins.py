"""Commands of packages installed beside undrift; each is imported only when it is run or listed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

import click

from undrift.discovery import described, load

log = logging.getLogger(__name__)


@cache
def offered() -> Mapping[str, EntryPoint]:
    """The commands by name, none of them imported yet."""
    return {entry.name: entry for entry in sorted(entry_points(group="undrift.commands"), key=lambda e: e.name)}


@cache
def command(name: str) -> click.Command | None:
    """The command ``name``; None if no package has it, or, after a warning, if it cannot be used."""
    entry = offered().get(name)
    found = None if entry is None else load(entry)
    if found is None or isinstance(found, click.Command):
        return found
    log.warning("%s is left out: it is %r, expected a click command", described(offered()[name]), found)
    return None
