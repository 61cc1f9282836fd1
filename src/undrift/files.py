"""Files that are either there as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from undrift.errors import SessionError
from undrift.temporary import File, Folder


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def named(name: str | Path) -> Path:
    """The file or folder that a text from a table, a record or an option names.

    Where the locale's encoding lacks a character, as ASCII does, the name is that of UTF-8.
    """
    text = os.fspath(name)
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return Path(os.fsdecode(text.encode("utf-8", "surrogateescape")))
    return Path(text)


def open_regular(path: Path, *, follow: bool = True) -> BinaryIO:
    """``path`` opened for reading; what is no regular file is refused, because a FIFO or a device may never end.

    Args:
        path: what to open.
        follow: whether it may be a link.

    Raises:
        OSError: as ``open`` does; a folder, a FIFO, a device; a link that is not to be followed.
    """
    _check_regular(os.stat(path, follow_symlinks=follow))
    options = ("O_BINARY", "O_CLOEXEC", "O_NONBLOCK", *(() if follow else ("O_NOFOLLOW",)))
    handle = os.open(path, os.O_RDONLY | sum(getattr(os, name, 0) for name in options))
    try:
        _check_regular(os.fstat(handle))  # what was put there between the two
    except OSError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def _check_regular(found: os.stat_result) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}
    raise OSError(errno.EINVAL, f"{kinds.get(stat.S_IFMT(found.st_mode), 'a device')}, expected a file")


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, see ``replacing``."""
    with replacing(path) as file:
        file.write(data)


def write_new(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` in a folder that nobody looks into yet, see ``new_folder``; it is on the disk then.

    Raises:
        SessionError: there is something already, or it cannot be written.
    """
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SessionError(f"cannot write '{path}': {reason(error)}") from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes ``path`` at the end of the ``with`` block.

    A crash or a power cut leaves the old file or the new one, never a part: the data goes to a ``.tmp`` file beside
    it, is synced, and takes the name in one step. The new file has the permissions of the old one.

    Raises:
        SessionError: the disk is full, the folder is missing or read-only; nothing is left behind.
    """
    try:
        temporary = File(path.parent)
    except OSError as error:
        raise SessionError(f"cannot write '{path}': {reason(error)}") from error
    try:
        with temporary.stream as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            temporary.path.chmod(stat.S_IMODE(path.stat().st_mode))
        os.replace(temporary.path, path)
        sync_folder(path.parent)
    except OSError as error:
        raise SessionError(f"cannot write '{path}': {reason(error)}") from error
    finally:
        temporary.remove()


@contextlib.contextmanager
def new_folder(path: str | Path, *, making: str = "write", instead: str = "choose another name") -> Iterator[Path]:
    """A folder to fill that takes its name at the end of the ``with`` block.

    Args:
        path: its name; folders above it are made.
        making: what cannot be done, in the message of a failure.
        instead: what to do where the name is taken.

    Raises:
        SessionError: ``path`` exists and is not empty, or cannot be written; nothing is left behind.
    """
    check_free(path, making=making, instead=instead)
    target = Path(path).absolute()
    try:
        if not target.parent.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
        building = Folder(target.parent)
    except OSError as error:
        raise SessionError(f"cannot {making} '{path}': {reason(error)}") from error
    try:
        yield building.path
        if target.exists():
            target.rmdir()
        building.path.rename(target)
    except OSError as error:
        raise SessionError(f"cannot {making} '{path}': {reason(error)}") from error
    finally:
        building.remove()


def check_free(path: str | Path, *, making: str, instead: str) -> None:
    """Find out before the work whether ``new_folder`` could fill ``path``; nothing is made.

    Raises:
        SessionError: it exists and is not empty, or cannot be looked at.
    """
    target = Path(path).absolute()
    try:
        taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
    except OSError as error:
        raise SessionError(f"cannot {making} '{path}': {reason(error)}") from error
    if taken:
        raise SessionError(f"'{path}' already exists: {instead}")


def reason(error: OSError) -> str:
    """What the operating system says, in words a user can act on."""
    return (error.strerror or str(error) or type(error).__name__).lower()


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable; folders cannot be opened everywhere (Windows), and then need no sync."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
