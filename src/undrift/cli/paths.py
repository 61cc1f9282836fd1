"""What ``-o`` and ``--session`` take: names that are refused before the work if they cannot be used after it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from undrift.cli.output import leave_stdout
from undrift.cli.strings import no_text
from undrift.errors import UndriftError
from undrift.files import reason
from undrift.outputs import check_ending, check_output, is_stdout


class _Path(click.Path):
    """A path that is there or is to be made; what is made gets a name that is text, as archives and JSON take it."""

    def check_text(self, name: str, param: click.Parameter | None, context: click.Context | None) -> None:
        try:
            os.fsencode(name).decode()
        except UnicodeError:
            if not os.path.lexists(name):
                self.fail(f"{no_text(name)}: choose another name", param, context)


class OutputFile(_Path):
    """A file to write, see ``undrift.outputs``; what is printed goes to stderr if the file is stdout.

    Args:
        endings: what its name may end in; none lets the command decide.
    """

    def __init__(self, *endings: str) -> None:
        super().__init__(path_type=Path, dir_okay=False)
        self.endings = endings

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        self.check_text(os.fspath(value), param, context)
        try:
            check_output(value)
            if self.endings:
                check_ending(value, self.endings)
        except UndriftError as error:
            self.fail(str(error), param, context)
        if is_stdout(value):
            leave_stdout()
        return super().convert(value, param, context)


class Folder(_Path):
    """A folder that is there or is to be made."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        name = os.fspath(value)
        if not name.strip():
            self.fail("an empty name was given, expected a folder", param, context)
        self.check_text(name, param, context)
        try:
            os.lstat(name)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self.fail(f"'{name}' cannot be used: {reason(error)}", param, context)
        except ValueError as error:  # a NUL character
            self.fail(f"{name!a} cannot be used: {error}", param, context)
        return super().convert(value, param, context)
