"""Locks that the operating system takes back when their process ends, however it ends.

They say whether somebody is still at work without asking for process numbers, which mean nothing in another namespace
and are given out again, or for times, which jump.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there nothing is ever known to be dead
    fcntl = None  # type: ignore[assignment]

_UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EBADF}


class Lock:
    """A file or a folder that this process holds until ``release``; processes forked from it do not."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle
        _held.add(self)

    def release(self) -> None:
        """Let go; more than once does no harm."""
        handle, self._handle = self._handle, None
        _held.discard(self)
        if handle is not None:
            os.close(handle)


_held: set[Lock] = set()


def _let_go() -> None:
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def acquire(path: Path) -> Lock | None:
    """Hold the file or folder ``path``; None if somebody else does.

    Raises:
        OSError: missing, not to be opened, a link, a FIFO or a device; ``ENOTSUP`` where locks do not work.
    """
    while True:
        handle = _opened(path)
        try:
            _flock(handle)
            # Whoever cleared it away meanwhile left a lock on something that has no name any more.
            if os.path.samestat(os.fstat(handle), os.lstat(path)):
                return Lock(handle)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            os.close(handle)
            raise
        os.close(handle)


def is_dead(path: Path) -> bool:
    """Whether nobody holds ``path`` any more, for certain."""
    with suppress(OSError):
        lock = acquire(path)
        if lock is not None:
            lock.release()
            return True
    return False


def works(error: OSError) -> bool:
    """Whether locks work where ``acquire`` raised ``error``."""
    return error.errno != errno.ENOTSUP


def _opened(path: Path) -> int:
    if fcntl is None:
        raise OSError(errno.ENOTSUP, "no locks on this system")
    kind = os.lstat(path).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise OSError(errno.EINVAL, "neither a file nor a folder")
    # Network file systems lock only what is open for writing.
    flags = os.O_RDONLY if stat.S_ISDIR(kind) else os.O_RDWR
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _flock(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(errno.ENOTSUP, "locks do not work here") if error.errno in _UNSUPPORTED else error from None
