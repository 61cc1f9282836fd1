"""How far a run is, on stderr: a bar with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TimeRemainingColumn

from undrift.cli.output import say
from undrift.cli.screen import column, console
from undrift.cli.text import line

EVERY = 30.0
"""Seconds between two lines where there is no terminal."""


class Bar:
    """What is done of something that takes long."""

    def __init__(self, progress: Progress, task: TaskID, plain: bool) -> None:
        self._progress, self._task, self._plain = progress, task, plain
        self._said = time.monotonic()

    def start_at(self, amount: int) -> None:
        """Count work of an earlier start as done."""
        self._progress.reset(self._task, completed=amount)

    def advance(self, amount: float, now: str = "") -> None:
        """Move on by ``amount``; ``now`` says what was just done."""
        self._progress.update(self._task, advance=amount, now=line(now))
        if self._plain and time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            task = self._progress.tasks[0]
            say(f"{task.description}: {task.percentage:.0f} % {now}".rstrip(), err=True)


@contextmanager
def bar(title: str, total: float, quiet: bool) -> Iterator[Bar]:
    """Show the progress of ``title`` while the block runs; nothing if ``quiet``."""
    screen = console(err=True)
    columns = (
        column("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        column("{task.fields[now]}"),
    )
    with Progress(*columns, console=screen, disable=quiet or not screen.is_terminal) as progress:
        task = progress.add_task(line(title), total=total, now="")
        yield Bar(progress, task, plain=not quiet and not screen.is_terminal)
