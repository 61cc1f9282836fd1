"""Files and folders on the way to their names. Those of dead processes are cleared away, those of live ones never.

Each is locked by its maker for as long as it is needed, and the lock goes with the process (``undrift.locks``).
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

from undrift import locks

_NAME = re.compile(r"\.undrift-[0-9a-f]{16}\.tmp")


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


class File:
    """A new file in ``parent`` to write and to rename; making it clears away those that dead processes left there.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, parent: Path) -> None:
        sweep(parent)
        while True:
            self.path = _free(parent)
            self.stream: BinaryIO = self.path.open("xb")
            lock = _locked(self.path)
            if lock is not False:
                self._lock = lock
                return
            self.stream.close()

    def remove(self) -> None:
        """Remove it; if it has another name by now, it stays."""
        self.stream.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.release()


def sweep(parent: Path) -> None:
    """Remove what dead processes were making in ``parent``."""
    with suppress(OSError), os.scandir(parent) as entries:
        found = [Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name)]
        for path in found:
            if locks.is_dead(path):
                _removed(path)


def _removed(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _made(parent: Path, mode: int) -> tuple[Path, locks.Lock | None]:
    while True:
        path = _free(parent)
        path.mkdir(mode)
        lock = _locked(path)
        if lock is not False:
            return path, lock


def _free(parent: Path) -> Path:
    return parent / f".undrift-{secrets.token_hex(8)}.tmp"


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
