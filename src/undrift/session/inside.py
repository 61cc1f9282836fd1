"""The files of a session's folder, and only those.

The folder may come from anybody: a link in it, or one of its folders that is a link, leads anywhere, and a FIFO never
ends. So every path is checked before it is touched, and names are compared, never used as patterns.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from undrift.errors import SessionError
from undrift.files import open_regular, reason, write_atomically
from undrift.session.outcome import FOLDERS, file_name
from undrift.temporary import sweep
from undrift.wording import size

MAX_FILE = 512 * 1024**2
"""Bytes of one file; a picture of 64 megapixels and its latent are smaller."""


def read(folder: Path, name: str, limit: int = MAX_FILE) -> bytes:
    """The contents of a session's file, ``name`` being one that ``outcome.file_name`` gives, or a constant.

    Raises:
        SessionError: missing, unreadable, larger than ``limit`` bytes, no regular file, or not within the session.
    """
    path = folder / name
    try:
        _check_within(folder, path)
        with open_regular(path, follow=False) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise SessionError(f"cannot read '{path}' of the session: {reason(error)}") from None
    if len(data) > limit:
        raise SessionError(f"cannot read '{path}' of the session: it is larger than {size(limit)}")
    return data


def beginning(folder: Path, name: str, count: int) -> bytes:
    """The first ``count`` bytes of a session's file, or what there is of them; nothing of one that is missing.

    Raises:
        SessionError: unreadable, no regular file, or not within the session.
    """
    path = folder / name
    try:
        _check_within(folder, path)
        with open_regular(path, follow=False) as file:
            return file.read(count)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise SessionError(f"cannot read '{path}' of the session: {reason(error)}") from None


def write(folder: Path, name: str, data: bytes) -> None:
    """Write a session's file, completely or not at all. A link in its place is replaced, not followed.

    Raises:
        SessionError: it cannot be written, or would not lie within the session.
    """
    path = folder / name
    try:
        path.parent.mkdir(exist_ok=True)  # sessions of older versions have fewer folders
        _check_within(folder, path)
        if path.is_symlink():
            path.unlink()
    except OSError as error:
        raise SessionError(f"cannot write '{path}': {reason(error)}") from None
    write_atomically(path, data)


def remove(folder: Path, keys: Collection[str]) -> None:
    """Remove the files of the turns ``keys``, and what dead processes never finished; each folder is read once.

    Raises:
        OSError: one cannot be removed.
    """
    for what in FOLDERS:
        files = {key: (folder / file_name(what, key)).name for key in keys}
        parent = (folder / file_name(what, "")).parent
        with suppress(FileNotFoundError, NotADirectoryError):
            check_folder(parent)
            sweep(parent)
            with os.scandir(parent) as entries:
                found = [entry.path for entry in entries if _is_of(entry.name, files)]
            for each in found:
                os.unlink(each)


def _is_of(name: str, files: Mapping[str, str]) -> bool:
    """Whether it is one of ``files``, by turn, or what an older version began to write in its place."""
    file = files.get(name.partition(".")[0])
    return file is not None and (name == file or (name.startswith(f"{file}.") and name.endswith(".tmp")))


def _check_within(folder: Path, path: Path) -> None:
    if path.parent != folder:  # which may be a link itself: it is the user's
        check_folder(path.parent)


def check_folder(folder: Path) -> None:
    """Refuse a folder of a session that is a link, which would lead out of it.

    Raises:
        OSError: it is missing, a link or no folder.
    """
    mode = os.lstat(folder).st_mode
    if not stat.S_ISDIR(mode):
        what = "its folder is a link" if stat.S_ISLNK(mode) else "its folder is none"
        raise NotADirectoryError(errno.ENOTDIR, f"{what}, expected a folder within the session")
