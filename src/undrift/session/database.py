"""The SQLite file of a session: its schema, and transactions whose failures are one clear line.

The journal is SQLite's rollback journal, not WAL: between two transactions the database is one file, so a session
folder can be copied, zipped or put on a network disk at any time, and opened where nothing may be written.
Each transaction has a connection of its own, so that threads and forked processes share nothing.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from undrift.errors import SessionError
from undrift.files import open_regular, reason

FILE = "session.sqlite"
MAGIC = b"SQLite format 3\x00"
APPLICATION_ID = 0x756E6472
MARKS = ("application_id", "user_version")
"""SQLite's pragmas that say whose database a file is, and of which version."""

BUSY_SECONDS = 30.0

LONGEST = 1024**2
"""Bytes of one value that is read."""

LONGEST_STATEMENT = 16 * 1024
"""Bytes of one statement; those of a made-up schema are parsed before anything else can be looked at."""

_WORK_SECONDS = 10.0
_OPENING_SECONDS = 2.0
"""Processor time that a transaction, and opening a session, may take: a made-up database could go on for ever."""

_EVERY = 100
"""SQLite instructions between two looks at the clock."""

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE turns (ordinal INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
        " parent TEXT REFERENCES turns (id), record TEXT NOT NULL CHECK (json_valid(record)))",
        "CREATE TRIGGER turns_stay BEFORE DELETE ON turns BEGIN SELECT RAISE(ABORT, 'turns are append-only'); END",
        "CREATE TRIGGER turns_fixed BEFORE UPDATE ON turns BEGIN SELECT RAISE(ABORT, 'turns are append-only'); END",
        "CREATE TABLE head (turn TEXT NOT NULL REFERENCES turns (id), branch TEXT)",
        "CREATE TABLE branches (name TEXT PRIMARY KEY, turn TEXT NOT NULL REFERENCES turns (id))",
        "CREATE TABLE trail (parent TEXT PRIMARY KEY REFERENCES turns (id),"
        " child TEXT NOT NULL REFERENCES turns (id))",
        "CREATE TABLE pending (id TEXT PRIMARY KEY, parent TEXT NOT NULL REFERENCES turns (id), head TEXT NOT NULL,"
        " prompt TEXT NOT NULL, spec TEXT, host TEXT NOT NULL, pid INTEGER NOT NULL, process TEXT NOT NULL,"
        " started TEXT NOT NULL)",
        "CREATE VIEW log AS SELECT ordinal, id, parent, json_extract(record, '$.number') AS number,"
        " json_extract(record, '$.kind') AS kind, json_extract(record, '$.prompt') AS prompt,"
        " json_extract(record, '$.image') AS image, json_extract(record, '$.created') AS created FROM turns",
    ),
)
"""Statements that lead from schema version i to i + 1; the version is SQLite's ``user_version``."""


@contextmanager
def transaction(folder: Path, *, write: bool, seconds: float = _WORK_SECONDS) -> Iterator[sqlite3.Connection]:
    """A transaction that is committed at the end of the ``with`` block, and undone if anything is raised in it.

    Raises:
        SessionError: busy for 30 s, read-only, full, damaged, or not SQLite.
    """
    _check_files(folder)
    try:
        connection = sqlite3.connect(
            f"{(folder / FILE).resolve().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
        try:
            limit(connection, seconds)
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield connection
            connection.set_progress_handler(None, 0)
            connection.execute("COMMIT")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise SessionError(_explained(folder, error)) from error


def limit(db: sqlite3.Connection, seconds: float) -> None:
    """Have ``db`` read nothing huge, and give up after ``seconds`` of processor time."""
    end = time.thread_time() + seconds  # waiting for other processes takes none of it
    db.set_progress_handler(lambda: time.thread_time() > end, _EVERY)
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
    db.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, LONGEST_STATEMENT)
    db.execute("PRAGMA cell_size_check = ON")


def create(folder: Path) -> None:
    """Make an empty database of the newest version in ``folder``."""
    (folder / FILE).touch()
    with transaction(folder, write=True) as db:
        migrate(db, 0)


def check(folder: Path) -> None:
    """Make sure that ``folder`` holds a session of this version, bringing an older one up to date.

    Raises:
        SessionError: no folder, no session in it, one that a newer undrift made, or one that none made.
    """
    if not folder.is_dir():
        raise SessionError(f"no session at '{folder}': start one with 'undrift new IMAGE --session {folder}'")
    if not os.path.lexists(folder / FILE):
        raise SessionError(f"'{folder}' is not an undrift session: it has no {FILE}")
    with transaction(folder, write=False, seconds=_OPENING_SECONDS) as db:
        application, version = marks(db)
        if application != APPLICATION_ID:
            raise SessionError(f"'{folder / FILE}' is not the database of an undrift session")
        if not 1 <= version <= len(MIGRATIONS):
            raise SessionError(
                f"the session '{folder}' has format {version}, this undrift knows {len(MIGRATIONS)}: upgrade undrift"
            )
        if not has_schema(db, version):
            raise SessionError(f"the session '{folder}' is damaged: its {FILE} has other tables than undrift makes")
    if version < len(MIGRATIONS):
        with transaction(folder, write=True) as db:
            migrate(db, marks(db)[1])


def marks(db: sqlite3.Connection) -> tuple[int, int]:
    """Whose database it is, and of which version."""
    (application,), (version,) = (db.execute(f"PRAGMA {name}").fetchone() for name in MARKS)
    return application, version


def has_schema(db: sqlite3.Connection, version: int) -> bool:
    """Whether it has the tables of ``version``, and no other tables, views and triggers: those could do anything."""
    expected, found = _schema_of(MIGRATIONS[:version]), set()
    for entry in _schema(db):
        if entry not in expected:
            return False
        found.add(entry)
    return all(entry in found for entry in expected if entry[0] == "table")


@cache
def _schema_of(migrations: tuple[tuple[str, ...], ...]) -> frozenset[tuple[str, ...]]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for statements in migrations:
            for statement in statements:
                db.execute(statement)
        return frozenset(_schema(db))
    finally:
        db.close()


def _schema(db: sqlite3.Connection) -> Iterator[tuple[str, ...]]:
    yield from db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")


def _check_files(folder: Path) -> None:
    """Refuse what SQLite would follow out of the session.

    A journal can name a journal of several databases, which SQLite deletes once it is done: a made-up one deletes any
    file. undrift never writes to two databases at once, so its journals name none.
    """
    for suffix in ("", "-journal", "-wal", "-shm"):
        path = folder / f"{FILE}{suffix}"
        try:
            kind = os.lstat(path).st_mode
            if not stat.S_ISREG(kind):
                raise SessionError(f"'{folder}' is not an undrift session: '{path.name}' in it is no file")
            if suffix == "-journal" and _names_another(path):
                raise SessionError(f"the session '{folder}' is damaged: '{path.name}' is not undrift's, remove it")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SessionError(f"the session '{folder}' cannot be read: {reason(error)}") from None


def _names_another(journal: Path) -> bool:
    """Whether a rollback journal ends in the name of another one (SQLite's file format, section 3)."""
    with open_regular(journal, follow=False) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_JOURNAL_MAGIC)))
        # A journal that begins and ends with the same eight bytes is a header alone.
        return size > len(_JOURNAL_MAGIC) and file.read() == _JOURNAL_MAGIC


def migrate(db: sqlite3.Connection, version: int) -> None:
    """Bring a database from ``version``, 0 being an empty one, to the newest."""
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _explained(folder: Path, error: sqlite3.Error) -> str:
    text = str(error)
    if "interrupted" in text or "too big" in text:
        return f"the session '{folder}' is damaged: its {FILE} takes too long, or too much memory, to read"
    if "locked" in text:
        return f"the session '{folder}' is busy: another process held it for {BUSY_SECONDS:.0f} s, try again"
    if "readonly" in text or "unable to open" in text:
        return f"the session '{folder}' cannot be written: the folder or its {FILE} is read-only"
    if "full" in text or "disk I/O" in text:
        return f"the session '{folder}' cannot be written: {text}; free some space and try again"
    if "not a database" in text or "malformed" in text or "no such" in text or "UTF-8" in text:
        return f"'{folder / FILE}' is damaged or not an undrift session: {text}"
    return f"the session '{folder}' cannot be used: {text}"
