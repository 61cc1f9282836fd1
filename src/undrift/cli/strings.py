"""Prompts, words and names from the command line are text: bytes that are none are refused before the work."""

from __future__ import annotations

from typing import Any

import click


class Text(click.types.StringParamType):
    """Valid Unicode. The operating system hands over bytes; those that are no UTF-8 arrive as lone surrogates."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        text = super().convert(value, param, context)
        try:
            # Where the locale is ASCII, bytes that are UTF-8 arrive as surrogates too.
            return os.fsencode(text).decode() if _SURROGATE.search(text) else text
        except UnicodeError:
            self.fail(f"{text!a} is no valid UTF-8 text", param, context)
        return text


def only_text(command: click.Command) -> click.Command:
    """``command`` with all it takes as a string, and all that its commands take, held to ``Text``."""
    for parameter in command.params:
        if parameter.type is click.STRING:
            parameter.type = Text()
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        only_text(inner)
    return command
