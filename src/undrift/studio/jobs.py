"""Work for the one model: a queue, a thread that empties it, and what every page may know about it.

Pages come and go; a job stays. Its state is told through the event log and listed on request, so that a page that was
reloaded in the middle of a turn finds its turn again.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from undrift.backbones.stopping import stoppable
from undrift.errors import Cancelled, UndriftError
from undrift.session.ahead import Ahead
from undrift.studio.events import EventLog
from undrift.studio.forms import Form
from undrift.studio.http_errors import Refused
from undrift.studio.job import About, Job, Keep, Running, State
from undrift.wording import one_line

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_QUEUED = 64
FINISHED_KEPT = 50
STOP_SECONDS = 2.0
ENDING = "a cancelled turn is at the end of its layer"
"""What the next job waits for; a layer over a large photo takes many seconds."""


class JobQueue:
    """Jobs in the order they came, run one at a time in a thread of their own.

    Args:
        events: are told of them.
        describe: an unexpected error in one line.
        ahead: what the thread does while no job waits; a job that comes stops it.

    Attributes:
        keep: told of the jobs that are not over whenever they are others; None keeps nothing.
    """

    def __init__(self, events: EventLog, describe: Callable[[Exception], str], ahead: Ahead | None = None) -> None:
        self._events = events
        self._describe = describe
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition(threading.RLock())
        self.keep: Keep | None = None
        self._stopping = False
        self._paused = False
        self._worked_on: Job | None = None
        self._ahead = ahead or Ahead()
        self._preparing = False
        self._asked_aside = 0
        self._aside = False
        self._thread = threading.Thread(target=self._run, name="studio-worker", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self, patience: float = STOP_SECONDS) -> None:
        """Cancel everything and wait for the thread, but not for long.

        What runs ends at its next layer. One layer over a large photo takes many seconds, and a turn that never ends
        leaves its session as it was: whoever stops the studio does not wait for that.
        """
        with self._changed:
            if self.keep is not None and not self._stopping:
                self.keep(self.open_jobs(), ended=True)
            self._stopping = True
            for job in self._jobs.values():
                job.cancelled.set()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(patience)

    @property
    def working(self) -> bool:
        """Whether the model is in use; after ``stop`` what uses it has not reached the end of its layer."""
        return self._aside or (self._thread.is_alive() and (self._worked_on is not None or self._preparing))

    def look_ahead(self) -> None:
        """There is something to prepare, if nothing else is to be done."""
        with self._changed:
            self._changed.notify_all()

    def submit(
        self, about: About, work: Callable[[Running], None], form: Form | None = None, key: str | None = None
    ) -> Job:
        """Queue ``work``.

        Args:
            about: what it is.
            work: does it.
            form: what it can be begun again from, by another studio.
            key: the id that it had in an earlier studio.

        Raises:
            Refused: too much is waiting already (429).
        """
        with self._changed:
            if len(self._queued()) >= MOST_QUEUED:
                raise Refused(429, f"{MOST_QUEUED} jobs are waiting already: cancel some, or wait")
            job = Job(key or secrets.token_hex(6), about, work, form)
            self._jobs[job.id] = job
            self._forget_old()
            self._keep()
            self._tell(job)
            self._changed.notify_all()
        return job

    def beside(self, about: About, work: Callable[[Running], None]) -> Job:
        """Begin ``work`` at once, in a thread of its own: it needs no model, and the queue does not wait for it."""
        with self._changed:
            job = Job(secrets.token_hex(6), about, work, state="running")
            self._jobs[job.id] = job
            self._forget_old()
            self._tell(job)
        threading.Thread(target=self._work, args=(job,), name="studio-beside", daemon=True).start()
        return job

    def aside(self, work: Callable[[], T], check: Callable[[], None]) -> T | None:
        """Do short work of the model's in this thread while there is no job for it; None if there is one.

        Jobs that come meanwhile wait for it. ``check`` is called before every layer and may raise to end it.
        """

        def go_on() -> None:
            check()
            if self._stopping:
                raise Cancelled("the studio is ending")

        with self._changed:
            if self._stopping or self._worked_on is not None or (self._queued() and not self._paused):
                return None
            self._asked_aside += 1
            self._changed.wait_for(lambda: self._stopping or not (self._aside or self._preparing))
            if self._stopping:
                return None
            self._aside = True
        try:
            with stoppable(go_on):
                return work()
        finally:
            with self._changed:
                self._asked_aside, self._aside = self._asked_aside - 1, False
                self._changed.notify_all()

    def drop(self, key: str, about: About, why: str) -> None:
        """List a job of an earlier studio that cannot go on."""
        with self._changed:
            job = Job(key, about, lambda running: None, dropped=True)
            self._jobs[key] = job
            self._end(job, "failed", why)

    def open_jobs(self) -> list[Job]:
        """Those that wait or run, the oldest first."""
        with self._changed:
            return [job for job in self._jobs.values() if job.open]

    def unfinished(self) -> list[Job]:
        """Those that wait or run, and the one that was cancelled and has not reached the end of its layer."""
        with self._changed:
            return [job for job in self._jobs.values() if job.open or job is self._worked_on]

    def cancel(self, key: str) -> Job:
        """Take a job out of the queue, or stop it.

        It is over at once for whoever asked for it. The layer that is computed for it goes on to its end, and the
        next job waits for that.
        """
        with self._changed:
            job = self.job(key)
            job.cancelled.set()
            if job.open:
                self._end(job, "cancelled")
                self._tell_waiting()
        return job

    @property
    def paused(self) -> bool:
        """Whether no waiting job is begun."""
        return self._paused

    def pause(self, paused: bool) -> None:
        """Begin no more jobs, or go on; what runs goes on anyway."""
        with self._changed:
            self._paused = paused
            self._events.publish("queue", "queue", {"paused": paused})
            self._changed.notify_all()

    def sooner(self, key: str) -> Job:
        """Let a waiting job and the one before it change places; the first one stays.

        Raises:
            Refused: it does not wait (409), or it needs what the one before it makes, or one of them changes the
                model, for which the other was planned (409).
        """
        with self._changed:
            job, waiting = self.job(key), self._queued()
            if job not in waiting:
                raise Refused(409, f"{job.about.title}: it does not wait any more")
            place = waiting.index(job)
            if place == 0:
                return job
            before = waiting[place - 1]
            if job.about.after == before.id or "model" in (job.about.kind, before.about.kind):
                raise Refused(409, f"{job.about.title}: it has to come after {before.about.title}")
            waiting[place - 1 : place + 1] = [job, before]
            others = {one.id: one for one in self._jobs.values() if one not in waiting}
            self._jobs = {**others, **{one.id: one for one in waiting}}
            self._keep()
            for one in waiting:
                self._tell(one)
        return job

    def job(self, key: str) -> Job:
        """The job ``key``.

        Raises:
            Refused: no such job (404).
        """
        with self._changed:
            if key not in self._jobs:
                raise Refused(404, f"no job {key[:20]!a}")
            return self._jobs[key]

    def listed(self) -> list[dict[str, Any]]:
        """Every job that is known, the oldest first."""
        with self._changed:
            return [self.view(job) for job in self._jobs.values()]

    def view(self, job: Job) -> dict[str, Any]:
        """A job as JSON; ``position`` counts from 1 for the next one to run, 0 for one that does not wait."""
        with self._changed:
            waiting = self._queued()
            ending = self._worked_on is not None and self._worked_on.cancelled.is_set()
            return {
                **vars(job.about),
                "id": job.id,
                "state": job.state,
                "position": waiting.index(job) + 1 if job in waiting else 0,
                "phase": ENDING if ending and job in waiting[:1] else job.phase,
                "evaluations": min(job.evaluations, job.total),
                "total": job.total,
                "item": job.item,
                "items": job.items,
                "turns": list(job.turns),
                "error": job.error,
                "dropped": job.dropped,
                "tiles": [tile.view for tile in job.tiles],
            }

    def _run(self) -> None:
        while not self._stopping:
            if (job := self._next()) is not None:
                self._work(job)
            elif not self._stopping:
                self._prepare()

    def _prepare(self) -> None:
        try:
            self._ahead.work(self._check_unused)
        finally:
            with self._changed:
                self._preparing = False
                self._changed.notify_all()

    def _check_unused(self) -> None:
        """Raise ``Cancelled`` if somebody wants the model."""
        with self._changed:
            if self._stopping or self._asked_aside or (self._queued() and not self._paused):
                raise Cancelled("somebody wants the model")

    def _work(self, job: Job) -> None:
        running = Running(job, self._tell)
        try:
            with stoppable(running.check):
                job.work(running)
            self._over(job, "done")
        except Cancelled:
            self._over(job, "cancelled")
        except UndriftError as error:
            job.refused = True
            self._over(job, "failed", str(error))
        except Exception as error:
            log.exception("a job failed: %s", job.about.title)
            self._over(job, "failed", self._describe(error))

    def _next(self) -> Job | None:
        """The job to run; None if the queue ends, or there is time to look ahead."""
        with self._changed:
            while not self._stopping and (self._asked_aside or self._paused or not self._queued()):
                if self._ahead.due and not self._asked_aside:
                    self._preparing = True
                    return None
                self._changed.wait()
            if self._stopping:
                return None
            job = self._worked_on = self._queued()[0]
            job.state = "running"
            self._keep()
            self._tell(job)
            self._tell_waiting()
            return job

    def _over(self, job: Job, state: State, error: str = "") -> None:
        """The work is over. One that was cancelled has ended before, unless it was done all the same."""
        with self._changed:
            if job is self._worked_on:
                self._worked_on = None
            if job.open or state == "done":
                self._end(job, state, error)
            self._tell_waiting()

    def _end(self, job: Job, state: State, error: str = "") -> None:
        with self._changed:
            job.state, job.error = state, one_line(error)
            for tile in job.tiles:
                tile.preview = None
            self._keep()
            self._tell(job)

    def _keep(self) -> None:
        if self.keep is not None and not self._stopping:
            self.keep(self.open_jobs(), ended=False)

    def _queued(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.state == "queued"]

    def _tell_waiting(self) -> None:
        for job in self._queued():
            self._tell(job)

    def _forget_old(self) -> None:
        finished = [job for job in self._jobs.values() if not job.open]
        for job in finished[:-FINISHED_KEPT]:
            del self._jobs[job.id]

    def _tell(self, job: Job) -> None:
        self._events.publish("job", job.id, self.view(job))
