"""rich's tables and progress bars, made so that text stays text: nothing in a prompt or a name is markup.

Loads rich: import it inside a command.
"""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import TextColumn
from rich.text import Text

from undrift.cli.text import line


def console(*, file: TextIO | None = None, err: bool = False, width: int | None = None) -> Console:
    """A console on ``file``, on stderr if ``err``, else on stdout."""
    return Console(file=file, stderr=err, width=width, markup=False, emoji=False, highlight=False)


def cell(text: str) -> Text:
    """``text`` for a table or a bar, in one line."""
    return Text(line(text))


def column(template: str) -> TextColumn:
    """A column of a progress bar, ``template`` being as rich's ``TextColumn`` takes it."""
    return TextColumn(template, markup=False)
