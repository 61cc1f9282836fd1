"""Any session folder and any archive is opened, or refused; nothing beside it is touched."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import tempfile
import zipfile
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.harness import attempt, damaged, fuzzed
from tests.support.memory import memory_folder
from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.export import export_zip
from undrift.session.store import Session
from undrift.session.unpack import import_zip

VALUES: list[Any] = [None, 0, -1, 2**31, 1e300, float("nan"), float("inf"), "", "../../victim/*", "*", "\x1b]0;x\x07"]
VALUES += [b"\xff\x00", [], {}, [[[]]], "a" * 12, "0" * 12, "0" * 64, True]
COLUMNS = {
    "turns": ("id", "parent", "record", "ordinal"),
    "head": ("turn", "branch"),
    "branches": ("name", "turn"),
    "trail": ("parent", "child"),
    "pending": ("id", "parent", "head", "prompt", "spec", "host", "pid", "process", "started"),
}
cells = st.sampled_from([(table, column) for table, columns in COLUMNS.items() for column in columns])
changes = st.lists(st.tuples(cells, st.sampled_from(VALUES), st.booleans()), max_size=3)
keys = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.sampled_from(VALUES)), max_size=2)


@cache
def original() -> Path:
    """A session of three turns and an unfinished one, and its archive beside it."""
    folder = Path(tempfile.mkdtemp(dir=memory_folder()))
    session = start_session(folder / "s", toy_picture(), "a cat", ToyBackbone())
    for seed in (1, 2):
        run_turn(session, ToyBackbone(), ToyMethod(), EditPlan(f"a dog {seed}", seed=seed))
    export_zip(session, folder / "s.zip")
    session.abandon(session.begin(session.head, "lost"))
    with closing(sqlite3.connect(folder / "s" / "session.sqlite", isolation_level=None)) as db:
        db.execute(
            "INSERT INTO pending SELECT '0123456789ab', turn, turn, 'x', NULL, 'h', 5, 'p', '2020-01-01' FROM head"
        )
    return folder


def rewritten(path: Path, cells: list[Any], keys: list[Any]) -> None:
    """Put odd values into columns, and into records."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("DROP TRIGGER turns_stay; DROP TRIGGER turns_fixed; PRAGMA ignore_check_constraints = 1")
        for (table, column), value, once in cells:
            with suppress(sqlite3.Error):
                where = f" WHERE rowid = (SELECT max(rowid) FROM {table})" if once else ""
                stored = json.dumps(value, default=str) if isinstance(value, list | dict) else value
                db.execute(f"UPDATE {table} SET {column} = ?{where}", (stored,))
        for row, at, value in keys:
            with suppress(sqlite3.Error, ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError):
                found = db.execute("SELECT ordinal, record FROM turns").fetchall()
                ordinal, text = found[row % len(found)]
                record = json.loads(text)
                inner = record["spec"] if at % 2 and record["spec"] else record
                inner[sorted(inner)[at % len(inner)]] = value
                db.execute(
                    "UPDATE turns SET record = ? WHERE ordinal = ?", (json.dumps(record, default=str), ordinal)
                )


def everything(folder: Path) -> object:
    """Open a session and look at all of it."""
    session = Session.open(folder)
    for turn in session.turns():
        session.picture(turn), session.latent(turn), session.mask(turn)
    return session.tree().text()


def beside(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@fuzzed
@given(changes, keys, st.data())
def test_sessions(cells: list[Any], keys: list[Any], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory(dir=memory_folder()) as name:
        folder = Path(name)
        (folder / "a.png").write_text("precious")
        shutil.copytree(original() / "s", folder / "s")
        database = folder / "s" / "session.sqlite"
        if cells or keys:
            rewritten(database, cells, keys)
        else:
            database.write_bytes(data.draw(damaged([database.read_bytes()])))
        attempt("session", lambda: everything(folder / "s"))
        assert beside(folder) == {"a.png": b"precious"}


@fuzzed
@given(changes, keys, st.data())
def test_archives(cells: list[Any], keys: list[Any], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory(dir=memory_folder()) as name:
        folder = Path(name)
        archive = (original() / "s.zip").read_bytes()
        archive = rezipped(archive, folder, cells, keys) if cells or keys else data.draw(damaged([archive]))
        attempt("archive", lambda: import_zip(archive, folder / "s"))
        assert {path.name for path in folder.iterdir()} <= {"s"}


def rezipped(archive: bytes, folder: Path, cells: list[Any], keys: list[Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            contents = old.read(name)
            if name.endswith(".sqlite"):
                (folder / "x").write_bytes(contents)
                rewritten(folder / "x", cells, keys)
                contents = (folder / "x").read_bytes()
                (folder / "x").unlink()
            new.writestr(name, contents)
    return buffer.getvalue()
