"""The one reader of a session's records, for folders and for archives alike.

A session may come from anybody. Nothing in its database is believed before it was checked here: types, names,
numbers, who is whose parent, and how much of it there is. What passes is a tree: every walk over it ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from undrift import wording
from undrift.errors import InputError
from undrift.methods import registry
from undrift.pictures import MAX_MEGAPIXELS
from undrift.session.fields import ID
from undrift.session.model import RestoreSpec, Turn
from undrift.session.outcome import SPEC, Pending, Spec, file_name
from undrift.session.process import WorkingProcess
from undrift.session.tree import Tree, check_branch

MAX_TURNS = 10_000

MAX_RECORD = 256 * 1024
"""Bytes of what is recorded of one turn."""

MAX_RECORDS = 48 * 1024**2
"""Bytes of what is recorded of all turns together."""


_LAST_ORDINAL = 2**62
"""SQLite has no numbers for new rows beyond 2**63; undrift counts them from 1."""


class Damaged(ValueError):
    """What is wrong with a session's records, in one line."""


def tree(db: sqlite3.Connection, known: dict[str, Turn]) -> Tree:
    """The turns, the head, the branches and the trail in a database.

    Args:
        db: within a transaction.
        known: turns read before; turns never change, so none is parsed twice. New ones are added.

    Raises:
        Damaged: undrift did not write this.
    """
    rows = _limited(db, "SELECT id, parent, record FROM turns ORDER BY ordinal", "turns")
    heads = db.execute("SELECT turn, branch FROM head LIMIT 2").fetchall()
    branches = _limited(db, "SELECT name, turn FROM branches ORDER BY rowid", "branches")
    trail = _limited(db, "SELECT parent, child FROM trail", "steps of its trail")
    if len(heads) != 1:
        raise Damaged("it has no head" if not heads else "it has several heads")
    head, branch = heads[0]
    turns = _turns(rows, known)
    found = Tree(turns, head, branch, dict(branches), dict(trail))
    _check_names(found)
    return found


def turn(key: object, record: object, known: dict[str, Turn]) -> Turn:
    """The turn of one row; only its own values are checked, not its place among others.

    Raises:
        Damaged: undrift did not write this.
    """
    name = _id(key, "a turn")
    if name in known:
        return known[name]
    try:
        made = Turn.model_validate_json(_text(record, f"the record of turn {name}"))
    except ValidationError as error:
        raise Damaged(f"turn {name} is a turn that undrift did not write: {wording.problem(error)}") from None
    _check_values(made, name)
    _check_spec(made.spec, f"turn {name}")
    return known.setdefault(name, made)


def pending(db: sqlite3.Connection, known: dict[str, Turn]) -> list[tuple[Pending, WorkingProcess]]:
    """The turns that are being worked on, the oldest first, and by whom.

    Args:
        db, known: as in ``tree``, which is read only if there are any.

    Raises:
        Damaged: undrift did not write this.
    """
    query = "SELECT id, parent, head, prompt, spec, host, pid, process, started FROM pending ORDER BY started"
    rows = _limited(db, query, "unfinished turns")
    turns = tree(db, known).turns if rows else {}
    return [_pending(row, turns) for row in rows]


def check_room(db: sqlite3.Connection, prompt: str, spec: Spec | None) -> None:
    """Refuse to begin a turn that could not be read again.

    Raises:
        InputError: as many turns as a session can have, or more text.
    """
    check_size(prompt, spec)
    count, size = db.execute("SELECT count(*), total(length(record)) FROM turns").fetchone()
    taken = db.execute("SELECT seq FROM sqlite_sequence UNION SELECT max(ordinal) FROM turns").fetchall()
    numbered = all(not isinstance(last, int) or last < _LAST_ORDINAL for (last,) in taken)
    if count >= MAX_TURNS or size > MAX_RECORDS - MAX_RECORD or not numbered:
        raise InputError(f"the session has {count} turns, as many as it can have: start a new one with its picture")


def check_size(prompt: str, spec: Spec | None) -> None:
    """Refuse more text than is recorded of a turn.

    Raises:
        InputError: the message says how much.
    """
    size = len(prompt) + (0 if spec is None else len(spec.model_dump_json()))
    if size > MAX_RECORD // 2:
        raise InputError(f"the texts of this turn have {size} characters, at most {MAX_RECORD // 2} are recorded")


def _pending(row: Iterable[object], turns: Mapping[str, Turn]) -> tuple[Pending, WorkingProcess]:
    key, parent, head, prompt, spec, host, pid, process, started = row
    name = _id(key, "an unfinished turn")
    if name in turns:
        raise Damaged(f"the unfinished turn {name} is finished")
    if parent not in turns or head not in turns:
        raise Damaged(f"the unfinished turn {name} is made from a turn that is not there")
    if not isinstance(pid, int) or not 0 < pid < 2**31:
        raise Damaged(f"the unfinished turn {name} is made by a process without a number")
    about = f"of the unfinished turn {name}"
    try:
        decided = None if spec is None else SPEC.validate_json(_text(spec, f"the specification {about}"))
    except ValidationError as error:
        raise Damaged(f"the specification {about} is not one of undrift's: {wording.problem(error)}") from None
    _check_spec(decided, f"the unfinished turn {name}")
    _check_time(_text(started, f"the start {about}"), name)
    made_by = WorkingProcess(_text(host, f"the host {about}"), pid, _text(process, f"the process {about}"))
    return Pending(name, str(parent), str(head), _text(prompt, f"the prompt {about}"), decided), made_by


def _turns(rows: Iterable[Iterable[Any]], known: dict[str, Turn]) -> dict[str, Turn]:
    turns: dict[str, Turn] = {}
    for key, parent, record in rows:
        made = turn(key, record, known)
        if made.parent != parent:
            raise Damaged(f"turn {made.id} does not follow from the turn that its row says")
        _check_place(made, turns)
        turns[made.id] = made
    if not turns:
        raise Damaged("it has no turns")
    return turns


def _check_values(made: Turn, key: str) -> None:
    """What a turn says of itself."""
    if made.id != key:
        raise Damaged(f"turn {key} is called {made.id[:20]!a} in its record")
    files = {
        "image": made.image,
        "latent": made.latent,
        "mask": made.mask,
        "region": made.region_file,
        "references": made.references_file,
    }
    if any(name is not None and name != file_name(what, key) for what, name in files.items()):
        raise Damaged(f"turn {key} names a file that is not its own")
    if any(value is None for name, value in made.hashes.items() if name != made.mask):
        raise Damaged(f"turn {key} has a file without its SHA-256")
    if (made.spec is not None, made.restore is not None) != (made.kind == "edit", made.kind == "restore"):
        raise Damaged(f"turn {key} is called {made.kind} and was made otherwise")
    if made.width * made.height > MAX_MEGAPIXELS * 1e6:
        raise Damaged(f"turn {key} has more than {MAX_MEGAPIXELS:g} megapixels")


def _check_spec(decided: Spec | None, whose: str) -> None:
    """What a method is said to have been given."""
    if decided is None or isinstance(decided, RestoreSpec):
        return
    try:
        registry.check_recorded(decided.method, decided.params)
    except InputError as error:
        raise Damaged(f"{whose} was not made by the method {decided.method}: {error}") from None


def _check_place(made: Turn, earlier: Mapping[str, Turn]) -> None:
    """Where a turn stands: below an earlier one, so that no way over parents is a circle."""
    if made.id in earlier:
        raise Damaged(f"turn {made.id} is there twice")
    parent = earlier.get(made.parent or "")
    fits = made.number == parent.number + 1 if parent else made.number == 0 and made.parent is None
    if not fits or bool(earlier) != bool(parent) or (made.kind == "original") != (not earlier):
        raise Damaged(f"turn {made.id} does not follow from a turn before it")
    if made.restore is not None and made.restore.anchor not in earlier:
        raise Damaged(f"turn {made.id} puts back a turn that is not there")


def _check_names(found: Tree) -> None:
    named = [found.head_id, *found.branches.values(), *found.trail.values(), *found.trail]
    if any(not isinstance(name, str) or name not in found.turns for name in named):
        raise Damaged("its head or a branch names a turn that is not there")
    if found.branch is not None and found.branch not in found.branches:
        raise Damaged("its head or a branch names a turn that is not there")
    if any(found.turns[child].parent != parent for parent, child in found.trail.items()):
        raise Damaged("its way back to the head does not follow the turns")
    for name in found.branches:
        try:
            check_branch(
                _text(name, "a branch's name"), reserved=()
            )  # an older session may have what is reserved today
        except InputError as error:
            raise Damaged(str(error)) from None


def _check_time(text: str, key: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise Damaged(f"the time of turn {key} is none") from None


def _limited(db: sqlite3.Connection, query: str, what: str) -> list[tuple[Any, ...]]:
    """The rows of ``query``, counted while they come: in a made-up file, many rows may share the same megabyte."""
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in db.execute(query):
        rows.append(row)
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(rows) > MAX_TURNS:
            raise Damaged(f"it has more than {MAX_TURNS} {what}")
        if size > MAX_RECORDS:
            raise Damaged(f"its {what} take more than {wording.size(MAX_RECORDS)} of records")
    return rows


def _id(value: object, what: str) -> str:
    if not isinstance(value, str) or not ID.fullmatch(value):
        shown = value if isinstance(value, str) else type(value).__name__
        raise Damaged(f"{what} is called {shown[:20]!a}, expected 12 hexadecimal digits")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise Damaged(f"{what} is no text")
    if len(value) > MAX_RECORD:
        raise Damaged(f"{what} is longer than {wording.size(MAX_RECORD)}")
    return value
