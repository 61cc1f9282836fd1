"""One piece of work: what it is, how far it is, and what its work may do with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from PIL import Image

from undrift.errors import Cancelled
from undrift.flow import Observer, Step, StepEnd
from undrift.pictures import png_bytes
from undrift.studio.forms import Form

State = Literal["queued", "running", "done", "failed", "cancelled"]
QUIET_SECONDS = 0.1
"""Progress within this time of the last told is not told: a page cannot show more."""


@dataclass(frozen=True)
class About:
    """What a job is, and which page asked for it.

    Attributes:
        kind: start, edit, rebase, restore, import, repeat, frame, model or download.
        session: whose; empty for the last two.
        title: in words.
        tab: the page.
        parent: the turn that it is made from, where that was there when it was asked for.
        prompt: what the turn is going to show.
        after: the job whose turn it is made from instead of ``parent``.
    """

    kind: str
    session: str
    title: str
    tab: str
    parent: str | None = None
    prompt: str = ""
    after: str | None = None


class Keep(Protocol):
    """Keeps the jobs that are not over; ``ended``: the queue ends, and does no more of them."""

    def __call__(self, jobs: Sequence[Job], ended: bool) -> None: ...


@dataclass
class Tile:
    """One of the candidates that a job makes.

    Attributes:
        step, steps: how far it is; 0 before it is begun.
        preview: a PNG of what it looks like so far; ``previews`` counts them.
        turn: what it has become.
    """

    step: int = 0
    steps: int = 0
    preview: bytes | None = field(default=None, repr=False)
    previews: int = 0
    turn: str | None = None

    @property
    def view(self) -> dict[str, object]:
        """As JSON."""
        return {"step": self.step, "steps": self.steps, "previews": self.previews, "turn": self.turn}


@dataclass
class Job:
    """One piece of work. Only the worker's thread and ``JobQueue``, under its lock, write to it.

    Attributes:
        evaluations, total: network evaluations spent and expected; of a download megabytes.
        item, items: which of several pieces of work is being done; candidates that are made at once are one.
        tiles: the candidates; one for a job that makes one turn.
        turns: ids of the turns made so far.
        form: what was asked for, by which it can be begun again; None if it cannot.
        refused: it failed by what was asked for, not by a fault of the program.
        dropped: an earlier studio left it, and it cannot go on.
    """

    id: str
    about: About
    work: Callable[[Running], None] = field(repr=False)
    form: Form | None = field(default=None, repr=False)
    dropped: bool = False
    refused: bool = False
    state: State = "queued"
    phase: str = ""
    evaluations: int = 0
    total: int = 0
    item: int = 0
    items: int = 1
    turns: list[str] = field(default_factory=list)
    error: str = ""
    tiles: list[Tile] = field(default_factory=lambda: [Tile()])
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def open(self) -> bool:
        return self.state in ("queued", "running")


class Running(Observer):
    """What a job's work may do with its job; also the observer that reports steps and stops on cancel."""

    def __init__(self, job: Job, tell: Callable[[Job], None]) -> None:
        self._job = job
        self._tell = tell
        self._told = 0.0
        self._spent: Callable[[], int] = int
        self._offset = 0

    def expect(self, evaluations: int, items: int = 1) -> None:
        """Announce ``items`` pieces of ``evaluations`` network evaluations each."""
        self._job.total, self._job.items = evaluations * items, items
        self._tell(self._job)

    def start_item(self, number: int, spent: Callable[[], int]) -> None:
        """Begin piece ``number``, from 0; ``spent`` says how many evaluations were spent."""
        self.check()
        job = self._job
        job.item = number
        job.evaluations = job.total * number // max(job.items, 1)
        self._spent, self._offset = spent, job.evaluations - spent()
        self._tell(job)

    def lay_out(self, candidates: int) -> None:
        """Announce how many candidates are made."""
        self._job.tiles = [Tile() for _ in range(candidates)]

    def made(self, turn: str, candidate: int = 0) -> None:
        """A turn was appended, which is one of the candidates."""
        tile = self._job.tiles[candidate]
        tile.turn, tile.preview = turn, None
        self._job.turns.append(turn)
        self._tell(self._job)

    def reached(self, candidates: Sequence[int], step: int, steps: int) -> None:
        """These candidates are at ``step`` of ``steps``."""
        for number in candidates:
            self._job.tiles[number].step, self._job.tiles[number].steps = step, steps

    def show(self, candidate: int, image: Image.Image) -> None:
        """What a candidate looks like so far."""
        self.check()
        tile = self._job.tiles[candidate]
        tile.preview = png_bytes(image)
        tile.previews += 1

    def say(self, phase: str) -> None:
        """What is being done now."""
        self.check()
        self._job.phase = phase
        self._tell(self._job)

    def check(self) -> None:
        """Raise ``Cancelled`` if the job was cancelled."""
        if self._job.cancelled.is_set():
            raise Cancelled("cancelled")

    def begin(self, step: Step) -> None:
        self.check()
        number, count = step.index + 1, step.count
        inverting, sampling = f"inverting, step {number} of {count}", f"sampling, step {number} of {count}"
        self._job.phase = inverting if step.inverting else sampling

    def end(self, event: StepEnd) -> None:
        self.check()
        self._job.evaluations = self._offset + self._spent()
        self._tell_sometimes()

    def reach(self, done: int, total: int, phase: str) -> None:
        """Say how far work is that is not counted in evaluations."""
        self.check()
        self._job.evaluations, self._job.total, self._job.phase = done, total, phase
        self._tell_sometimes()

    def _tell_sometimes(self) -> None:
        if time.monotonic() - self._told >= QUIET_SECONDS:
            self._told = time.monotonic()
            self._tell(self._job)
