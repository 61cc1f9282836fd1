"""The queue on disk: what a studio still had to do when it ended, so that the next one in the same folder goes on.

The file lies beside the sessions and holds the forms of the jobs that wait, as the page sent them. A studio that ends
in good order gives back what it was doing as well; a turn that was being made when a studio ended otherwise is not
begun again, because it may be what ended it: that is told, as is everything else that cannot go on.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate

from pydantic import BaseModel, Field, ValidationError

from undrift import locks
from undrift.errors import SessionError, UndriftError
from undrift.files import open_regular, write_atomically
from undrift.studio import submit
from undrift.studio.forms import EditForm, Form, RebaseForm, RestoreForm
from undrift.studio.http_errors import Refused
from undrift.studio.job import About, Job
from undrift.studio.jobs import MOST_QUEUED
from undrift.studio.studio import Studio
from undrift.wording import size

log = logging.getLogger(__name__)

FILE = ".undrift-queue.json"
MOST_BYTES = 256 * 2**20
_AROUND, _BETWEEN = len('{"jobs":[]}'), len(",")

FORMS: dict[str, type[Form]] = {"edit": EditForm, "rebase": RebaseForm, "restore": RestoreForm}
"""The jobs that can be begun again; the others need a picture that was held in memory."""


class _Kept(BaseModel):
    id: str = Field(pattern=r"^[0-9a-f]{12}$")
    about: About
    form: str
    begun: bool


class _QueueFile(BaseModel):
    jobs: list[_Kept] = Field(max_length=MOST_QUEUED + 1)


class KeptQueue:
    """The queue's file of the folder of ``studio``; only one studio at a time keeps one there."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._path = studio.folders.root / FILE
        self._lock: locks.Lock | None = None
        self._left_out = 0

    def resume(self) -> None:
        """Queue again what an earlier studio left, and keep the queue from now on."""
        if not self._claim():
            return
        left = self._read()
        self._studio.jobs.keep = self._write
        for kept in left:
            self._again(kept)
        if left:
            self._write(self._studio.jobs.open_jobs(), ended=False)

    def close(self) -> None:
        """Let another studio keep the queue of this folder."""
        self._studio.jobs.keep = None
        if self._lock is not None:
            self._lock.release()

    def _claim(self) -> bool:
        try:
            self._lock = locks.acquire(self._studio.folders.root)
        except OSError as error:
            log.info("the queue is not kept: %s", error)
        return self._lock is not None

    def _again(self, kept: _Kept) -> None:
        jobs, about = self._studio.jobs, kept.about
        try:
            if kept.begun:
                raise SessionError("the studio ended while this was being made: start it again if it is still wanted")
            if about.kind not in FORMS:
                raise SessionError("the studio was stopped before this began: bring the picture in again")
            form = FORMS[about.kind].model_validate_json(kept.form)
            submit.again(self._studio, about.session, form, kept.id)
        except (UndriftError, ValidationError) as error:
            why = str(error) if isinstance(error, UndriftError) else "the record of the queue is damaged"
            log.warning("%s, %s: %s", about.session, about.title, why)
            jobs.drop(kept.id, about, why)

    def _read(self) -> list[_Kept]:
        try:
            with open_regular(self._path, follow=False) as file:
                data = file.read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                log.warning(
                    "the queue of an earlier studio is left out: %s is larger than %s", FILE, size(MOST_BYTES)
                )
                return []
            return _QueueFile.model_validate_json(data).jobs
        except FileNotFoundError:
            return []
        except (OSError, ValidationError) as error:
            log.warning("the queue of an earlier studio cannot be read: %s", type(error).__name__)
            return []

    def _fitting(self, jobs: list[_Kept]) -> list[_Kept]:
        """The first of ``jobs``, as many as the next studio will read; how many are left out is said once."""
        ends = list(accumulate(len(job.model_dump_json().encode()) + _BETWEEN for job in jobs))
        fitting = bisect_right(ends, MOST_BYTES - _AROUND)
        if len(jobs) - fitting not in (0, self._left_out):
            log.warning(
                "%d of %d jobs would not go on after a stop: the queue holds more than %s of masks and pictures",
                *(len(jobs) - fitting, len(jobs), size(MOST_BYTES)),
            )
        self._left_out = len(jobs) - fitting
        return jobs[:fitting]

    def _settled(self, form: Form) -> Form:
        """A form that follows a job which has made its turn, as one that is made from that turn."""
        if not isinstance(form, EditForm) or form.after is None:
            return form
        with suppress(Refused):
            if turns := self._studio.jobs.job(form.after).turns:
                return form.model_copy(update={"parent": turns[0], "after": None})
        return form

    def _write(self, jobs: Sequence[Job], ended: bool) -> None:
        """Keep ``jobs``; ``ended``: in good order, so that the one that runs may be begun again."""
        kept = [
            _Kept(
                id=job.id,
                about=job.about,
                form=self._settled(job.form).model_dump_json(),
                begun=job.state == "running" and not ended,
            )
            for job in jobs
            if job.form is not None
        ]
        kept = self._fitting(kept)
        if not kept:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            return
        try:
            write_atomically(self._path, _QueueFile(jobs=kept).model_dump_json().encode())
        except SessionError as error:
            log.warning("the queue is not kept: %s", error)
