"""Who works on a turn, and whether it still can.

A process that works on a turn holds a claim: a file of the session, named after the turn, that is locked for as long
as the process lives, whatever its PID namespace and the clock. A claim that nobody holds is that of a dead process,
if it was made on this machine: another one's locks may not be seen here.
"""

from __future__ import annotations

import os
import platform
import re
import uuid
from collections.abc import Collection
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from undrift import locks
from undrift.errors import SessionError
from undrift.files import reason
from undrift.session.inside import check_folder

FOLDER = "working"

_PROCESS = uuid.uuid4().hex
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class WorkingProcess(NamedTuple):
    """What a pending turn records of its process: the machine, the number, and a mark of this very process."""

    host: str
    pid: int
    process: str


class Claim:
    """That this process works on the turn ``key`` of the session in ``folder``; until ``release``, or its end.

    Raises:
        SessionError: the session cannot be written.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._path = folder / FOLDER / _name(key, _PROCESS)
        try:
            self._path.parent.mkdir(exist_ok=True)
            check_folder(self._path.parent)
            self._lock = self._made()
        except OSError as error:
            raise SessionError(f"cannot write '{self._path}': {reason(error)}") from None

    def release(self) -> None:
        """The work is over."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.release()

    def _made(self) -> locks.Lock | None:
        self._path.unlink(missing_ok=True)  # of a process that died before it could begin, or nothing of ours
        while True:
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            try:
                if (lock := locks.acquire(self._path)) is not None:
                    return lock
                self._path.unlink(missing_ok=True)
            except FileNotFoundError:  # cleared away by somebody who was quicker
                continue
            except OSError as error:
                self._path.unlink(missing_ok=True)
                if locks.works(error):
                    raise
                return None  # nobody will find a claim, and everybody goes by the process


def this_process() -> WorkingProcess:
    """Who this process is."""
    return WorkingProcess(f"{platform.node()} {_kernel()}".strip(), os.getpid(), _PROCESS)


def may_live(made_by: WorkingProcess, folder: Path, key: str) -> bool:
    """Whether the turn ``key`` may still be worked on; what cannot be known counts as yes."""
    claim = folder / FOLDER / _name(key, made_by.process)
    try:
        check_folder(claim.parent)
        os.lstat(claim)
    except OSError:
        return _process_may_live(made_by)
    return not (locks.is_dead(claim) and _is_here(made_by.host))


def sweep(folder: Path, working: Collection[str]) -> None:
    """Remove the claims of dead processes, but for those of the turns ``working``, which are left to be judged."""
    with suppress(OSError):
        check_folder(folder / FOLDER)
        with os.scandir(folder / FOLDER) as entries:
            for path in [Path(entry.path) for entry in entries if entry.name.partition(".")[0] not in working]:
                if locks.is_dead(path):
                    path.unlink()


def _name(key: str, process: str) -> str:
    """A claim's name; a mark that no process gave itself, and that may be a path, claims nothing."""
    return f"{key}.{process}" if re.fullmatch("[0-9a-f]{32}", process) else f"{key}.unknown"


def _is_here(host: str) -> bool:
    """Whether ``host`` is this machine: the same kernel, by whatever name, or the same name after another start."""
    name, _, kernel = host.partition(" ")
    return name == platform.node() or bool(kernel and kernel == _kernel())


def _process_may_live(made_by: WorkingProcess) -> bool:
    """For turns without a claim: those of older versions, and where locks do not work."""
    if made_by.host not in (platform.node(), this_process().host) or os.name != "posix":
        return True
    if made_by.pid == os.getpid():
        return made_by.process == _PROCESS
    try:
        os.kill(made_by.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def _kernel() -> str:
    """This start of this machine's kernel, which containers share; empty where that is unknown."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
