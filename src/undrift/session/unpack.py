"""Opening a session that came as a zip file, from anybody.

Nothing in the file is trusted. Only names that a session has are read, none of them becomes a path outside the new
folder, and sizes are limited before anything is unpacked. The database that arrives is only read, in memory: the new
session has one of its own, into which nothing goes but validated turns, whose files have the contents they claim.
"""

from __future__ import annotations

import io
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from undrift import wording
from undrift.errors import InputError, SessionError
from undrift.files import open_regular, reason
from undrift.session import database, reading, verify
from undrift.session.fields import ID
from undrift.session.model import Turn
from undrift.session.outcome import FOLDERS, file_name
from undrift.session.reading import Damaged
from undrift.session.store import Session
from undrift.session.tree import Tree

MAX_BYTES = 2 * 1024**3
"""Unpacked size of a session that is opened."""

MAX_DATABASE = 64 * 1024**2
"""Of which the database may take this."""

_MOST_AT_ONCE = 16 * 1024**2
"""Bytes of the archive that are read at a time; its list of files is one such piece."""

_ENCRYPTED = 1
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SECONDS = 2.0
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)


def import_zip(
    source: str | Path | bytes, folder: str | Path, *, max_bytes: int = MAX_BYTES, called: str = ""
) -> Session:
    """Open the session in a file of ``export_zip`` as a new session in ``folder``.

    Args:
        source: a path, or a file's contents (an upload).
        folder: where the new session appears, as a whole or not at all.
        max_bytes: refuse more than this unpacked.
        called: the name of the file whose contents are given, for messages.

    Raises:
        SessionError: not a zip file, not a session, too large, damaged or made up, or ``folder`` cannot be written.
    """
    name = "the zip file" if isinstance(source, bytes) and not called else f"'{called or source!s}'"
    with _opened(source, name) as archive:
        members = _members(archive, name, max_bytes)
        try:
            tree = _tree(_inflated(archive, members[database.FILE], MAX_DATABASE))
            if missing := [path for turn in tree.turns.values() for path in turn.files if path not in members]:
                raise Damaged(f"'{missing[0]}' is missing")
            return Session.assemble(folder, tree, lambda turn, path: _checked(archive, members[path], turn, path))
        except (Damaged, InputError) as error:
            raise SessionError(f"{name} holds no session that can be opened: {error}") from None


@contextmanager
def _opened(source: str | Path | bytes, name: str) -> Iterator[zipfile.ZipFile]:
    try:
        opened = io.BytesIO(source) if isinstance(source, bytes) else open_regular(Path(source))
        with _Sparing(opened) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except FileNotFoundError:
        raise SessionError(f"no file at {name}") from None
    except OSError as error:
        raise SessionError(f"cannot read {name}: {reason(error)}") from None
    except _DAMAGE as error:
        raise SessionError(f"{name} is not a zip file that can be read: {error}") from None


class _Sparing(io.BufferedIOBase):
    """A file of which not much is read at once, as a list of millions of made-up files would have it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int | None = -1, /) -> bytes:
        data = self._file.read(_MOST_AT_ONCE + 1 if size is None or size < 0 else min(size, _MOST_AT_ONCE + 1))
        if len(data) > _MOST_AT_ONCE:
            raise zipfile.BadZipFile("its list of files is too long")
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


def _members(archive: zipfile.ZipFile, name: str, max_bytes: int) -> Mapping[str, zipfile.ZipInfo]:
    """The session's files by their path within it; everything else in the file is left alone."""
    found = [entry for entry in archive.infolist() if entry.filename.rpartition("/")[2] == database.FILE]
    if len(found) != 1:
        several = "several files called" if found else "no"
        raise SessionError(f"{name} is not an exported session: it has {several} {database.FILE}")
    root = found[0].filename.removesuffix(database.FILE)
    wanted = {f"{root}{database.FILE}": database.FILE}
    for entry in archive.infolist():
        path = entry.filename.removeprefix(root)
        if _is_turn_file(path):
            wanted[entry.filename] = path
    members = {wanted[entry.filename]: entry for entry in archive.infolist() if entry.filename in wanted}
    size = sum(entry.file_size for entry in members.values())
    if size > max_bytes:
        raise SessionError(f"{name} unpacks to {wording.size(size)}, at most {wording.size(max_bytes)} are opened")
    return members


def _is_turn_file(path: str) -> bool:
    key = path.rpartition("/")[2].partition(".")[0]
    return bool(ID.fullmatch(key)) and any(path == file_name(what, key) for what in FOLDERS)


def _inflated(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """The contents of one file of the archive, at most ``most`` bytes of them."""
    path = entry.filename.rpartition("/")[2]
    if entry.compress_type not in _KINDS:
        raise Damaged(f"'{path}' is compressed in another way than stored or deflated")
    if entry.flag_bits & _ENCRYPTED:
        raise Damaged(f"'{path}' is encrypted")
    if entry.file_size > most:
        raise Damaged(f"'{path}' unpacks to {wording.size(entry.file_size)}, at most {wording.size(most)} are opened")
    with archive.open(entry) as file:
        return file.read(most)


def _checked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, turn: Turn, path: str) -> bytes:
    data = _inflated(archive, entry, verify.most_bytes(turn))
    verify.check(turn, path, data)
    return data


def _tree(data: bytes) -> Tree:
    """The validated tree of turns in a database.

    Raises:
        Damaged: it is no session's.
    """
    if not data.startswith(database.MAGIC):
        raise Damaged(f"its {database.FILE} is damaged")
    try:
        with closing(sqlite3.connect(":memory:")) as db:
            db.deserialize(data)
            database.limit(db, _SECONDS)
            db.set_authorizer(_only_reading)
            application, version = database.marks(db)
            if application != database.APPLICATION_ID or not 1 <= version <= len(database.MIGRATIONS):
                raise Damaged(f"its {database.FILE} is of another program or of a newer undrift")
            if not database.has_schema(db, version):
                raise Damaged(f"its {database.FILE} has other tables than undrift makes")
            return reading.tree(db, {})
    except sqlite3.Error:
        raise Damaged(f"its {database.FILE} is damaged") from None


def _only_reading(action: int, *about: object) -> int:
    """SQLite's authorizer: tables and pragmas are read; nothing recursive, no function, no other file."""
    allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA}
    return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY
