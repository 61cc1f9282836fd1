"""Files that are either there as a whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from undrift.errors import SessionError

_LONGEST = 230
"""Bytes of a name that a ``.tmp`` ending can follow."""


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, see ``replacing``."""
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes ``path`` at the end of the ``with`` block.

    A crash or a power cut leaves the old file or the new one, never a part: the data goes to a ``.tmp`` file beside
    it, is synced, and takes the name in one step. The new file has the permissions of the old one.

    Raises:
        SessionError: the disk is full, the folder is missing or read-only; nothing is left behind.
    """
    temporary = path.with_name(f"{_short(path.name)}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise SessionError(f"cannot write '{path}': {reason(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _short(name: str) -> str:
    """``name``, or a digest of it where no room is left for an ending: file systems take 255 bytes."""
    return name if len(os.fsencode(name)) <= _LONGEST else sha256(os.fsencode(name))[:32]


def reason(error: OSError) -> str:
    """What the operating system says, in words a user can act on."""
    return (error.strerror or str(error) or type(error).__name__).lower()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; folders cannot be opened everywhere (Windows), and then need no sync."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
