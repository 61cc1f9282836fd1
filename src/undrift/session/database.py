"""The SQLite file of a session: its schema, and transactions whose failures are one clear line.

The journal is SQLite's rollback journal, not WAL: between two transactions the database is one file, so a session
folder can be copied, zipped or put on a network disk at any time, and opened where nothing may be written.
Each transaction has a connection of its own, so that threads and forked processes share nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from undrift.errors import SessionError

FILE = "session.sqlite"
MAGIC = b"SQLite format 3\x00"
APPLICATION_ID = 0x756E6472
MARKS = ("application_id", "user_version")
"""SQLite's pragmas that say whose database a file is, and of which version."""

BUSY_SECONDS = 30.0

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
def transaction(folder: Path, *, write: bool) -> Iterator[sqlite3.Connection]:
    """A transaction that is committed at the end of the ``with`` block, and undone if anything is raised in it.

    Raises:
        SessionError: busy for 30 s, read-only, full, damaged, or not SQLite.
    """
    try:
        connection = sqlite3.connect(
            f"{(folder / FILE).resolve().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
        try:
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise SessionError(_explained(folder, error)) from error


def create(folder: Path) -> None:
    """Make an empty database of the newest version in ``folder``."""
    (folder / FILE).touch()
    with transaction(folder, write=True) as db:
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        _migrate(db, 0)


def check(folder: Path) -> None:
    """Make sure that ``folder`` holds a session of this version, bringing an older one up to date.

    Raises:
        SessionError: no folder, no session in it, or one that a newer undrift made.
    """
    if not folder.is_dir():
        raise SessionError(f"no session at '{folder}': start one with 'undrift new IMAGE --session {folder}'")
    if not (folder / FILE).is_file():
        raise SessionError(f"'{folder}' is not an undrift session: it has no {FILE}")
    with transaction(folder, write=False) as db:
        application, version = (db.execute(f"PRAGMA {p}").fetchone()[0] for p in MARKS)
    if application != APPLICATION_ID:
        raise SessionError(f"'{folder / FILE}' is not the database of an undrift session")
    if version > len(MIGRATIONS):
        raise SessionError(
            f"the session '{folder}' has format {version}, this undrift knows {len(MIGRATIONS)}: upgrade undrift"
        )
    if version < len(MIGRATIONS):
        with transaction(folder, write=True) as db:
            _migrate(db, int(db.execute("PRAGMA user_version").fetchone()[0]))


def _migrate(db: sqlite3.Connection, version: int) -> None:
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _explained(folder: Path, error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text:
        return f"the session '{folder}' is busy: another process held it for {BUSY_SECONDS:.0f} s, try again"
    if "readonly" in text or "unable to open" in text:
        return f"the session '{folder}' cannot be written: the folder or its {FILE} is read-only"
    if "full" in text or "disk I/O" in text:
        return f"the session '{folder}' cannot be written: {text}; free some space and try again"
    if "not a database" in text or "malformed" in text:
        return f"'{folder / FILE}' is damaged or not an undrift session: {text}"
    return f"the session '{folder}' cannot be used: {text}"
