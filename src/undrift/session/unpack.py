"""Opening a session that came as a zip file, from anybody.

Nothing in the file is trusted. Only names that a session has are read, none of them becomes a path outside the new
folder, and sizes are limited before anything is unpacked. The database that arrives is only read, in memory: the new
session has one of its own, into which nothing goes but validated turns, whose files have the contents they claim.
"""

from __future__ import annotations

import io
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import ValidationError

from undrift.errors import InputError, PictureError, SessionError
from undrift.files import sha256
from undrift.pictures import read_picture
from undrift.session import database, latents
from undrift.session.model import Turn
from undrift.session.outcome import FOLDERS, file_name
from undrift.session.store import Session
from undrift.session.tree import Tree, check_branch

MAX_BYTES = 2 * 1024**3
"""Unpacked size of a session that is opened."""

MAX_TURNS = 10_000

_ID = re.compile(r"[0-9a-f]{12}")
_LONGEST = 16 * 1024**2
"""Bytes of one value in the database."""

_STEPS = 50_000_000
"""SQLite instructions after which reading a database is given up: a hostile one could go on for ever."""


def import_zip(source: str | Path | bytes, folder: str | Path, *, max_bytes: int = MAX_BYTES) -> Session:
    """Open the session in a file of ``export_zip`` as a new session in ``folder``.

    Args:
        source: a path, or a file's contents (an upload).
        folder: where the new session appears, as a whole or not at all.
        max_bytes: refuse more than this unpacked.

    Raises:
        SessionError: not a zip file, not a session, too large, damaged or made up, or ``folder`` cannot be written.
    """
    name = "the zip file" if isinstance(source, bytes) else f"'{source}'"
    with _opened(source, name) as archive:
        members = _members(archive, name, max_bytes)
        try:
            tree = _tree(archive.read(members[database.FILE]))
            for turn in tree.turns.values():
                _check_files(turn, {path: archive.read(members[path]) for path in turn.files if path in members})
            return Session.assemble(folder, tree, lambda path: archive.read(members[path]))
        except (_Wrong, InputError, PictureError) as error:
            raise SessionError(f"{name} holds no session that can be opened: {error}") from None
        except ValidationError as error:
            raise SessionError(f"{name} holds a turn that undrift did not write: {_first(error)}") from None


class _Wrong(ValueError):
    """What is wrong with the session in a zip file."""


@contextmanager
def _opened(source: str | Path | bytes, name: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            yield archive
    except FileNotFoundError:
        raise SessionError(f"no file at {name}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SessionError(f"{name} is not a zip file that can be read: {error}") from None
    except OSError as error:
        raise SessionError(f"cannot read {name}: {error}") from None


def _members(archive: zipfile.ZipFile, name: str, max_bytes: int) -> Mapping[str, zipfile.ZipInfo]:
    """The session's files by their path within it; everything else in the file is left alone."""
    found = [entry for entry in archive.infolist() if entry.filename.rpartition("/")[2] == database.FILE]
    if len(found) != 1:
        raise SessionError(f"{name} is not an exported session: it has no {database.FILE}")
    root = found[0].filename.removesuffix(database.FILE)
    wanted = {f"{root}{database.FILE}": database.FILE}
    for entry in archive.infolist():
        path = entry.filename.removeprefix(root)
        if _is_turn_file(path):
            wanted[entry.filename] = path
    members = {wanted[entry.filename]: entry for entry in archive.infolist() if entry.filename in wanted}
    size = sum(entry.file_size for entry in members.values())
    if size > max_bytes:
        raise SessionError(f"{name} unpacks to {size / 1e6:.0f} MB, at most {max_bytes / 1e6:.0f} MB are opened")
    return members


def _is_turn_file(path: str) -> bool:
    key = path.rpartition("/")[2].partition(".")[0]
    return bool(_ID.fullmatch(key)) and any(path == file_name(what, key) for what in FOLDERS)


def _tree(data: bytes) -> Tree:
    """The validated tree of turns in a database.

    Raises:
        _Wrong, ValidationError: it is no session's.
    """
    if not data.startswith(database.MAGIC):
        raise _Wrong(f"its {database.FILE} is damaged")
    try:
        with closing(sqlite3.connect(":memory:")) as db:
            db.deserialize(data)
            db.set_progress_handler(lambda: 1, _STEPS)
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
            db.set_authorizer(_only_reading)
            (application,), (version,) = (db.execute(f"PRAGMA {p}").fetchone() for p in database.MARKS)
            if application != database.APPLICATION_ID or not 1 <= version <= len(database.MIGRATIONS):
                raise _Wrong(f"its {database.FILE} is of another program or of a newer undrift")
            turns: dict[str, Turn] = {}
            for key, record in db.execute("SELECT id, record FROM turns ORDER BY ordinal LIMIT ?", (MAX_TURNS + 1,)):
                turn = Turn.model_validate_json(record)
                _check_turn(turn, key, turns)
                turns[turn.id] = turn
            head, branch = db.execute("SELECT turn, branch FROM head").fetchone()
            branches = dict(db.execute("SELECT name, turn FROM branches ORDER BY rowid LIMIT ?", (MAX_TURNS,)))
            trail = dict(db.execute("SELECT parent, child FROM trail LIMIT ?", (MAX_TURNS,)))
    except (sqlite3.Error, TypeError, ValueError) as error:
        if isinstance(error, _Wrong | ValidationError):
            raise
        raise _Wrong(f"its {database.FILE} is damaged") from None
    tree = Tree(turns, head, branch, branches, trail)
    _check_names(tree)
    return tree


def _only_reading(action: int, *about: object) -> int:
    """SQLite's authorizer: tables and pragmas are read; nothing recursive, no function, no other file."""
    allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA}
    return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY


def _check_turn(turn: Turn, key: str, earlier: Mapping[str, Turn]) -> None:
    parent = earlier.get(turn.parent or "")
    fits = turn.number == parent.number + 1 if parent else turn.number == 0 and turn.parent is None
    names = {"image": turn.image, "latent": turn.latent, "mask": turn.mask, "region": turn.region_file}
    if not _ID.fullmatch(turn.id) or turn.id != key or turn.id in earlier:
        raise _Wrong(f"turn {turn.id[:20]!a} is not called as a turn is")
    if not fits or bool(earlier) != bool(parent) or (turn.kind == "original") != (not earlier):
        raise _Wrong(f"turn {turn.id} does not follow from a turn before it")
    if any(name is not None and name != file_name(what, turn.id) for what, name in names.items()):
        raise _Wrong(f"turn {turn.id} names a file that is not its own")
    if turn.restore is not None and turn.restore.anchor not in earlier:
        raise _Wrong(f"turn {turn.id} puts back a turn that is not there")
    if len(earlier) >= MAX_TURNS:
        raise _Wrong(f"it has more than {MAX_TURNS} turns")


def _check_names(tree: Tree) -> None:
    named = {tree.head_id, *tree.branches.values(), *tree.trail.values()}
    if named - set(tree.turns) or tree.branch not in {None, *tree.branches}:
        raise _Wrong("its head or a branch names a turn that is not there")
    if any(tree.turns[child].parent != parent for parent, child in tree.trail.items()):
        raise _Wrong("its way back to the head does not follow the turns")
    for name in tree.branches:
        check_branch(name, reserved=())  # an older session may have a branch of a name that is reserved today


def _check_files(turn: Turn, files: Mapping[str, bytes]) -> None:
    """The files of ``turn`` are there and hold what it says: picture, mask and region decode, hashes agree."""
    if missing := [name for name in turn.files if name not in files]:
        raise _Wrong(f"'{missing[0]}' is missing")
    hashes = {turn.image: turn.image_hash, turn.latent: turn.latent_hash, turn.region_file: turn.region_hash}
    if wrong := [name for name, data in files.items() if hashes.get(name, sha256(data)) != sha256(data)]:
        raise _Wrong(f"'{wrong[0]}' is not the file that its turn was stored with")
    for name in (turn.image, turn.region_file):
        if name is not None and read_picture(files[name]).size != (turn.width, turn.height):
            raise _Wrong(f"'{name}' is not of the size that its turn says")
    if turn.mask is not None:
        read_picture(files[turn.mask])
    if turn.latent is not None:
        grid = latents.geometry_of(files[turn.latent])
        if (grid.width, grid.height) != (turn.width, turn.height):
            raise _Wrong(f"'{turn.latent}' is not of the size that its turn says")


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'].lower()}"
