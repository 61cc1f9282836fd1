"""Files and folders on the way to their names. Those of dead processes are cleared away, those of live ones never.

Each is locked by its maker for as long as it is needed, and the lock goes with the process (``undrift.locks``).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

from undrift import locks

_NAME = re.compile(r"\.undrift-[0-9a-f]{16}\.tmp")
_LONGEST = 230
"""Bytes of a name that an ending can follow: file systems take 255."""
_TRIES = 1000


class Folder:
    """A new, empty folder in ``parent``; making it clears away those that dead processes left there.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, parent: Path, mode: int = 0o777) -> None:
        sweep(parent)
        self.path, self._lock = _made(parent, mode)

    def remove(self) -> None:
        """Remove it and what is in it; if it has another name by now, it stays."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            self._lock.release()


def sweep(parent: Path) -> None:
    """Remove the folders in ``parent`` that dead processes were making."""
    with suppress(OSError), os.scandir(parent) as entries:
        found = [Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name)]
        for path in found:
            if locks.is_dead(path):
                shutil.rmtree(path, ignore_errors=True)


class File:
    """A new file beside ``path``, to be renamed to it; what dead processes began to write there is cleared away.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        for count in range(_TRIES):
            self.path = path.with_name(f"{_short(path.name)}.{count}.tmp")
            if os.path.lexists(self.path) and _may_go(self.path):
                self.path.unlink(missing_ok=True)
            with suppress(FileExistsError):
                self.stream: BinaryIO = self.path.open("xb")
                lock = _locked(self.path)
                if lock is not False:
                    self._lock = lock
                    return
                self.stream.close()
        raise FileExistsError(errno.EEXIST, f"{_TRIES} unfinished .tmp files lie beside it; remove them")

    def remove(self) -> None:
        """Remove it; if it has another name by now, it stays."""
        self.stream.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.release()


def _made(parent: Path, mode: int) -> tuple[Path, locks.Lock | None]:
    while True:
        path = parent / f".undrift-{secrets.token_hex(8)}.tmp"
        path.mkdir(mode)
        lock = _locked(path)
        if lock is not False:
            return path, lock


def _locked(path: Path) -> locks.Lock | Literal[False] | None:
    """The lock of ``path``; None where there are none; False if somebody is clearing it away, being quicker."""
    try:
        return locks.acquire(path) or False
    except FileNotFoundError:
        return False
    except OSError as error:
        if locks.works(error):
            raise
        return None


def _may_go(path: Path) -> bool:
    """Whether what lies there may go: left by a dead process, or a link, which nobody here makes."""
    return path.is_symlink() or locks.is_dead(path)


def _short(name: str) -> str:
    """``name``, or a digest of it where no room is left for an ending."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= _LONGEST else hashlib.sha256(encoded).hexdigest()[:32]
