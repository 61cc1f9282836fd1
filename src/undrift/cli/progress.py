"""Progress bars on stderr, and Ctrl-C that stops between two steps. Loads torch: import it inside a command."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, TaskID, TimeElapsedColumn

from undrift.cli.output import say
from undrift.cli.screen import column, console
from undrift.cli.text import line
from undrift.errors import Cancelled
from undrift.flow import Observer, Step, StepEnd
from undrift.session.clips import EditedFrame
from undrift.session.spent import Spent


class StopOnInterrupt(Observer):
    """The first Ctrl-C ends the turn before its next step, the second one at once."""

    def __init__(self) -> None:
        self._stopped = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def begin(self, step: Step) -> None:
        self.check()

    def end(self, event: StepEnd) -> None:
        self.check()

    def check(self) -> None:
        """Raise ``Cancelled`` if Ctrl-C was pressed."""
        if self._stopped:
            raise Cancelled("stopped by Ctrl-C")

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._stopped:
            raise KeyboardInterrupt
        self._stopped = True


class TurnBar(Observer):
    """One turn's bar, which moves by the network's evaluations."""

    def __init__(self, progress: Progress, task: TaskID, spent: Spent) -> None:
        self._progress = progress
        self._task = task
        self._spent = spent

    def begin(self, step: Step) -> None:
        phase = "inverting" if step.inverting else "sampling"
        done = self._spent.so_far()
        self._progress.update(self._task, phase=f"{phase} {step.index + 1}/{step.count}", completed=done)

    def end(self, event: StepEnd) -> None:
        self._progress.update(self._task, completed=self._spent.so_far())


class TurnsProgress:
    """A bar per turn on a terminal, a line per turn elsewhere, nothing at all if ``quiet``."""

    def __init__(self, count: int, quiet: bool) -> None:
        self._count = count
        self._quiet = quiet
        self._bars = Progress(
            column("{task.description}"),
            BarColumn(),
            column("{task.fields[phase]}"),
            TimeElapsedColumn(),
            console=console(err=True),
            disable=quiet,
        )
        self._plain = not self._bars.console.is_terminal

    @contextmanager
    def turn(self, number: int, prompt: str, spent: Spent) -> Iterator[list[Observer]]:
        """Show turn ``number`` while the block runs, as ``spent`` goes on; yields its observers."""
        label = f"turn {number}/{self._count}"
        if self._quiet or self._plain:
            started = time.perf_counter()
            yield []
            if not self._quiet:
                say(f"{label}: {line(prompt)} ({time.perf_counter() - started:.1f} s)", err=True)
            return
        task = self._bars.add_task(f"{label}  {_short(line(prompt))}", total=spent.total, phase="")
        yield [TurnBar(self._bars, task, spent)]
        self._bars.update(task, completed=spent.total, phase="done")

    def __enter__(self) -> Self:
        if not self._plain:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if not self._plain:  # one that was never started writes an empty line
            self._bars.stop()


def edit_frames(
    editing: Callable[[Sequence[Observer]], Iterator[EditedFrame]], count: int, quiet: bool
) -> list[EditedFrame]:
    """The ``count`` edited frames of a clip, with a bar on stderr unless ``quiet``.

    Raises:
        Cancelled: Ctrl-C; nothing was written.
    """
    made: list[EditedFrame] = []
    try:
        with StopOnInterrupt() as stop, Progress(console=console(err=True), disable=quiet) as bar:
            made.extend(bar.track(editing([stop]), total=count, description="frames"))
    except (Cancelled, KeyboardInterrupt):
        raise Cancelled(f"stopped after {len(made)} of {count} frames; nothing was written") from None
    return made


def _short(prompt: str, limit: int = 48) -> str:
    return prompt if len(prompt) <= limit else f"{prompt[: limit - 1]}…"
