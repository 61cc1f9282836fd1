"""What the next turn is sure to ask of the network, computed while somebody looks and types.

The latent and the prompt of the turn that the next one starts from are known before anybody has said what is to
change. So are the velocities of this source, and the inversion of methods that invert: about half of a turn's
evaluations. ``prepare`` computes them into the model's memory; the turn finds them there, and is the same to the bit.
It costs time that nobody waits for, and main memory, ``undrift.backbones.memory.BUDGET`` bytes at most.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from undrift.backbones.base import Backbone
from undrift.backbones.memory import VelocityMemory
from undrift.backbones.rehearsal import UNKNOWN, Rehearsal, RehearsalOver
from undrift.backbones.stopping import stoppable
from undrift.errors import Cancelled
from undrift.flow import Observer, Step
from undrift.methods.base import EditMethod
from undrift.session.making import Work, stored_latent
from undrift.session.next_turn import usual_method
from undrift.session.seeds import seeds
from undrift.session.store import Session

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.05
"""How often a thread that waits for the model looks whether anybody still wants that."""


def prepare(
    session: Session,
    backbone: Backbone,
    method: EditMethod | None = None,
    parent: str = "head",
    seed: int | None = None,
    observers: Sequence[Observer] = (),
) -> int:
    """Compute what a next turn asks of the network whatever its prompt. The session stays as it is.

    A turn that starts elsewhere, or with another method, seed or source prompt, finds less or nothing of it, and is
    made as if this had not been.

    Args:
        session, backbone: as for ``run_turn``. A backbone without a memory is given one.
        method: the turn's; None for the one that the turn before was made with.
        parent: the turn it is made from, anything ``Tree.turn`` understands.
        seed: the turn's; None for the one that is drawn for it where it names none.
        observers: hear of the steps; one that raises ``Cancelled`` stops it, and leaves no trace.

    Returns:
        How many evaluations it took; 0 for a method of whose turn nothing is known before, and under a step cache.

    Raises:
        InputError: no such turn, or a method that the model cannot run.
        SessionError: the session cannot be read.
        Cancelled: an observer stopped it.
    """
    tree = session.tree()
    onto = tree.turn(parent)
    wanted = usual_method(tree, onto, backbone.tuned) if method is None else method
    wanted.check(backbone)
    rehearsed = wanted.rehearsed()
    if rehearsed is None or not backbone.repeatable:
        return 0
    if backbone.memory is None:
        backbone.memory = VelocityMemory()
    before = backbone.counter.copy()
    previous = stored_latent(session, onto, backbone) or backbone.encode([session.picture(onto)])
    drawn = seeds.coming(onto.id) if seed is None else seed
    request = Work(session, backbone, tree, onto, None).request(previous, onto.prompt, UNKNOWN, [drawn])
    with suppress(RehearsalOver):
        rehearsed.edit(Rehearsal(backbone, onto.prompt), request, observers)
    return backbone.counter.since(before).computed


class Expected(NamedTuple):
    """A turn that somebody is going to ask for; see ``prepare``."""

    session: Session
    backbone: Backbone
    method: EditMethod | None


class Ahead:
    """Prepares the next turn of the session that was worked on last, for programs that have time between two turns.

    ``expect`` and ``forget`` may be called from any thread; ``work`` from the one that runs turns on the model.
    """

    def __init__(self) -> None:
        self._expected: Expected | None = None

    @property
    def due(self) -> bool:
        """Whether there is something to work on."""
        return self._expected is not None

    def expect(self, session: Session, backbone: Backbone, method: EditMethod | None = None) -> None:
        """Somebody looks at the head of ``session``, and goes on from there, with ``method`` or the usual one."""
        self._expected = Expected(session, backbone, method)

    def forget(self) -> None:
        """Nobody goes on from there."""
        self._expected = None

    def work(self, check: Callable[[], None]) -> None:
        """Prepare what is expected, once. Nobody waits for it, so nothing that goes wrong is more than logged.

        Args:
            check: called before every step and layer; raises ``Cancelled`` when somebody wants the model.
        """
        expected, self._expected = self._expected, None
        if expected is None:
            return
        session, backbone, method = expected
        try:
            with stoppable(check):
                spent = prepare(session, backbone, method, observers=[_Checking(check)])
            log.debug("%d evaluations of the next turn of %s are ready", spent, session.folder)
        except Cancelled:
            log.debug("what was computed ahead for %s was cut short", session.folder)
        except Exception:
            log.debug("nothing could be computed ahead for %s", session.folder, exc_info=True)


class Meanwhile:
    """Prepares the next turn in a thread of its own, for programs whose model is used by threads that come and go.

    Args:
        patience: seconds that ``close`` waits for the end of a layer.
    """

    def __init__(self, patience: float = 2.0) -> None:
        self._ahead, self._patience = Ahead(), patience
        self._changed, self._model = threading.Condition(), threading.Lock()
        self._wanted, self._closed, self._busy = 0, False, False
        self._thread = threading.Thread(target=self._run, name="undrift-ahead", daemon=True)

    @contextmanager
    def working(self, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Within the block the model is this thread's; what is prepared ends at its next layer.

        ``check`` is called while another thread has the model, and raises to wait no longer.
        """
        with self._changed:
            self._wanted += 1
        try:
            while not self._model.acquire(timeout=LOOK_SECONDS):
                check()
            try:
                yield
            finally:
                self._model.release()
        finally:
            with self._changed:
                self._wanted -= 1
                self._changed.notify_all()

    def expect(self, session: Session, backbone: Backbone) -> None:
        """Somebody looks at the head of ``session``, and goes on from there."""
        with self._changed:
            self._ahead.expect(session, backbone)
            if not (self._thread.is_alive() or self._closed):
                self._thread.start()
            self._changed.notify_all()

    def settle(self) -> None:
        """Wait until nothing is left to prepare."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not (self._ahead.due or self._busy))

    def close(self) -> None:
        """Prepare nothing any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(self._patience)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or (self._ahead.due and not self._wanted))
                if self._closed:
                    return
                self._busy = True
            with self._model:
                self._ahead.work(self._check)

    def _check(self) -> None:
        with self._changed:
            if self._wanted or self._closed:
                raise Cancelled("somebody wants the model")


class _Checking(Observer):
    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def begin(self, step: Step) -> None:
        self._check()
