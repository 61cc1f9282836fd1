"""Prompts, words and names from the command line are text: bytes that are none are refused before the work."""

from __future__ import annotations

import os
import re
from typing import Any

import click

from undrift.wording import readable

_SURROGATE = re.compile("[\ud800-\udfff]")


def no_text(name: str) -> str:
    """What is said of a name or a text that is not valid UTF-8."""
    return f"'{readable(name)}' is no valid UTF-8 text"


class Text(click.types.StringParamType):
    """Valid Unicode. The operating system hands over bytes; those that the locale's encoding lacks arrive as lone
    surrogates, which in an ASCII locale is every byte of what is UTF-8 all the same.
    """

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        text = super().convert(value, param, context)
        try:
            return os.fsencode(text).decode() if _SURROGATE.search(text) else text
        except UnicodeError:
            self.fail(no_text(text), param, context)


class Name(Text):
    """A text that is not empty, as an unset variable of a shell is: that would be taken for no name at all."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        text = super().convert(value, param, context)
        if not text.strip():
            self.fail("an empty name was given: name one, or leave the option out", param, context)
        return text


class Given(click.Path):
    """A path that is not empty either: as a path, that is the current folder, which nobody meant."""

    @classmethod
    def like(cls, other: click.Path) -> Given:
        """What takes what ``other`` takes, but for an empty name."""
        given = cls()
        vars(given).update(vars(other))
        return given

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        if not os.fspath(value):
            self.fail("an empty name was given, expected a file or a folder", param, context)
        return super().convert(value, param, context)


NAMES = frozenset({"NAME", "MODEL", "DEVICE", "REF", "URL", "FILE[:SCALE]", "PICTURE[:WEIGHT[:MASK]]"})
"""What the help calls options whose value names something."""


def only_text(command: click.Command) -> click.Command:
    """``command`` with all that it, and its commands, take held to ``Text``, a ``Name`` or a path ``Given``."""
    for parameter in command.params:
        if parameter.type is click.STRING:
            parameter.type = Name() if parameter.metavar in NAMES else Text()
        elif type(parameter.type) is click.Path:
            parameter.type = Given.like(parameter.type)
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        only_text(inner)
    return command
