"""A session on disk: an append-only tree of turns, and a head that moves over it.

A session is a folder::

    session.sqlite                 the tree (the view ``log`` is made for people)
    pictures/<turn>.png            every turn's picture, with its own parameters inside
    latents/<turn>.safetensors     every turn's latent
    masks/<turn>.png               where a turn edited, one pixel per token
    regions/<turn>.png             where a turn was allowed to change the picture

A turn is announced (``begin``) before its work starts and stored (``finish``) after it: first its files, each
written completely or not at all, then one transaction that appends the turn and moves the head. A process killed in
between leaves files that no turn names; the next ``open`` removes them.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from undrift.errors import InputError, SessionError, UndriftError
from undrift.files import reason, sha256, write_atomically
from undrift.pictures import read_picture
from undrift.session import database
from undrift.session.model import RestoreSpec, Turn, TurnKind, TurnSpec
from undrift.session.outcome import FOLDERS, KINDS, SPEC, Outcome, Pending, Spec, file_name
from undrift.session.process import may_live, owner
from undrift.session.tree import Tree, check_branch

log = logging.getLogger(__name__)

FIRST_BRANCH = "main"


class Session:
    """An open session. Cheap to open; safe to share between threads and processes."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._parsed: dict[str, Turn] = {}

    @classmethod
    def create(cls, folder: str | Path, prompt: str, outcome: Outcome) -> Session:
        """Start a session whose original picture is ``outcome``; it appears in ``folder`` as a whole or not at all.

        Raises:
            SessionError: ``folder`` exists and is not empty, or cannot be written.
        """
        with _appearing(folder) as building:
            cls(building)._start(prompt, outcome)
        return cls(folder)

    @classmethod
    def assemble(cls, folder: str | Path, tree: Tree, contents: Callable[[str], bytes]) -> Session:
        """A session of turns that exist already, from elsewhere; it appears as a whole or not at all.

        Args:
            folder: where; it must not exist, or be empty.
            tree: all that the database is to hold.
            contents: the contents of a turn's file by its path within the session.

        Raises:
            SessionError: ``folder`` exists and is not empty, or cannot be written.
        """
        with _appearing(folder) as building:
            database.create(building)
            for turn in tree.turns.values():
                for name in turn.files:
                    write_atomically(building / name, contents(name))
            with database.transaction(building, write=True) as db:
                for turn in tree.turns.values():
                    _insert(db, turn)
                db.executemany("INSERT INTO branches VALUES (?, ?)", tree.branches.items())
                db.executemany("INSERT INTO trail VALUES (?, ?)", tree.trail.items())
                db.execute("INSERT INTO head VALUES (?, ?)", (tree.head_id, tree.branch))
        return cls(folder)

    @classmethod
    def open(cls, folder: str | Path) -> Session:
        """Open the session in ``folder`` and clear away what killed processes left.

        Raises:
            SessionError: no session there, one of a newer undrift, or a damaged one.
        """
        session = cls(folder)
        database.check(session.folder)
        session._clear_interrupted()
        return session

    def tree(self) -> Tree:
        """All turns, the head and the branches as they are at this moment."""
        with database.transaction(self.folder, write=False) as db:
            return self._tree(db)

    def turns(self) -> tuple[Turn, ...]:
        """All turns in the order they were finished, the original first."""
        return tuple(self.tree().turns.values())

    def turn(self, ref: str | int = "head") -> Turn:
        """The turn that ``ref`` names, see ``Tree.turn``."""
        return self.tree().turn(ref)

    @property
    def head(self) -> Turn:
        """The turn that the next edit continues."""
        return self.tree().head

    @property
    def original(self) -> Turn:
        """Turn 0."""
        return self.tree().original

    def path(self, turn: Turn) -> tuple[Turn, ...]:
        """The turns from the original to ``turn``, both included."""
        return self.tree().path(turn)

    def picture(self, turn: Turn) -> Image.Image:
        """The picture of ``turn``, RGB."""
        return read_picture(self.contents(turn.image, turn.image_hash), max_megapixels=float("inf"))

    def latent(self, turn: Turn) -> bytes | None:
        """The safetensors file of ``turn``'s latent."""
        return None if turn.latent is None else self.contents(turn.latent, turn.latent_hash)

    def mask(self, turn: Turn) -> Image.Image | None:
        """Where ``turn`` edited: L, one pixel per token, 255 inside."""
        return None if turn.mask is None else read_picture(self.contents(turn.mask)).convert("L")

    def region(self, turn: Turn) -> Image.Image | None:
        """Where ``turn`` was allowed to change the picture: L, of the picture's size, 0 where it was not."""
        if turn.region_file is None:
            return None
        return read_picture(self.contents(turn.region_file, turn.region_hash), max_megapixels=float("inf")).convert(
            "L"
        )

    def contents(self, name: str, expected: str | None = None) -> bytes:
        """The file ``name`` of the session, checked against its ``expected`` SHA-256.

        Raises:
            SessionError: missing, unreadable, or not what was stored.
        """
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            raise SessionError(f"cannot read '{self.folder / name}' of the session: {reason(error)}") from None
        if expected is not None and sha256(data) != expected:
            raise SessionError(f"'{self.folder / name}' was changed since its turn was made: restore it from a copy")
        return data

    def undo(self) -> Turn:
        """Move the head to its parent; nothing is lost. The branch still names the turn that was left.

        Raises:
            InputError: the head is the original.
        """
        with database.transaction(self.folder, write=True) as db:
            tree = self._tree(db)
            if tree.head.parent is None:
                raise InputError("nothing to undo: the head is the original picture")
            return _move_head(db, tree.turns[tree.head.parent], tree.branch)

    def redo(self) -> Turn:
        """Move the head to the child it was last on.

        Raises:
            InputError: nothing was undone here.
        """
        with database.transaction(self.folder, write=True) as db:
            tree = self._tree(db)
            if tree.head_id not in tree.trail:
                raise InputError("nothing to redo: no turn was made from the head")
            return _move_head(db, tree.turns[tree.trail[tree.head_id]], tree.branch)

    def checkout(self, ref: str | int) -> Turn:
        """Move the head to ``ref``. A branch's name also makes that branch follow the head; else none does."""
        with database.transaction(self.folder, write=True) as db:
            tree = self._tree(db)
            return _move_head(db, tree.turn(ref), str(ref) if ref in tree.branches else None)

    def branch(self, name: str, ref: str | int = "head") -> Turn:
        """Start a branch at ``ref``, move the head there, and let the branch follow the head from now on.

        Raises:
            InputError: the name is taken or could be mistaken for something else, or there is no such turn.
        """
        check_branch(name)
        with database.transaction(self.folder, write=True) as db:
            tree = self._tree(db)
            if name in tree.branches or name in tree.turns:
                raise InputError(f"branch '{name}' exists already: check it out, or choose another name")
            turn = tree.turn(ref)
            db.execute("INSERT INTO branches VALUES (?, ?)", (name, turn.id))
            return _move_head(db, turn, name)

    def place(self, branches: Mapping[str, str], head: str, branch: str | None) -> None:
        """Set branches (id of the newest turn by name), head and followed branch at once, as a replay needs."""
        with database.transaction(self.folder, write=True) as db:
            db.executemany("INSERT OR REPLACE INTO branches VALUES (?, ?)", branches.items())
            _move_head(db, self._tree(db).turn(head), branch)

    def begin(self, parent: Turn, prompt: str, spec: Spec | None = None) -> Pending:
        """Record a turn before its work starts. End it with ``finish`` or ``abandon``."""
        with database.transaction(self.folder, write=True) as db:
            taken = {row[0] for row in db.execute("SELECT id FROM turns UNION SELECT id FROM pending")}
            (head,) = db.execute("SELECT turn FROM head").fetchone()
            content = spec.model_dump_json() if spec else prompt
            pending = Pending(_free_id(taken, parent.id, content), parent.id, head, prompt, spec)
            row = (pending.id, parent.id, head, prompt, spec and spec.model_dump_json(), *owner(), _now())
            db.execute("INSERT INTO pending VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        return pending

    def finish(self, pending: Pending, outcome: Outcome, *, move_head: bool = True) -> Turn:
        """Append the turn; the head moves to it unless somebody moved the head since ``begin``, or it is not to.

        Raises:
            SessionError: the folder cannot be written; the tree is unchanged and ``abandon`` is in order.
        """
        with database.transaction(self.folder, write=False) as db:
            parent = self._turn(db, pending.parent)
        turn = self._store(outcome, pending.id, KINDS[type(pending.spec)], pending.prompt, parent, pending.spec)
        with database.transaction(self.folder, write=True) as db:
            if not db.execute("DELETE FROM pending WHERE id = ?", (pending.id,)).rowcount:
                raise SessionError(f"turn {pending.id} was discarded by another process while it was worked on")
            head, followed = db.execute("SELECT turn, branch FROM head").fetchone()
            _insert(db, turn)
            db.execute("INSERT OR IGNORE INTO trail VALUES (?, ?)", (parent.id, turn.id))
            if move_head and head == pending.head:
                branch = followed if parent.id == head else None
                db.execute("UPDATE branches SET turn = ? WHERE name = ?", (turn.id, branch))
                _move_head(db, turn, branch)
        return turn

    def abandon(self, pending: Pending) -> None:
        """Forget a turn that failed or was cancelled; never raises, the next ``open`` finds what is left."""
        try:
            self._discard(pending.id)
        except (UndriftError, OSError):
            log.debug("could not clear away turn %s", pending.id, exc_info=True)

    def unfinished(self) -> tuple[Pending, ...]:
        """The turns being worked on."""
        with database.transaction(self.folder, write=False) as db:
            rows = db.execute("SELECT id, parent, head, prompt, spec FROM pending ORDER BY started").fetchall()
        return tuple(
            Pending(key, parent, head, prompt, SPEC.validate_json(spec) if spec else None)
            for key, parent, head, prompt, spec in rows
        )

    def _start(self, prompt: str, outcome: Outcome) -> None:
        database.create(self.folder)
        key = _free_id(set(), "", f"{prompt}\n{sha256(outcome.image)}")
        turn = self._store(outcome, key, "original", prompt, None, None)
        with database.transaction(self.folder, write=True) as db:
            _insert(db, turn)
            db.execute("INSERT INTO branches VALUES (?, ?)", (FIRST_BRANCH, turn.id))
            db.execute("INSERT INTO head VALUES (?, ?)", (turn.id, FIRST_BRANCH))

    def _store(
        self, outcome: Outcome, key: str, kind: TurnKind, prompt: str, parent: Turn | None, spec: Spec | None
    ) -> Turn:
        return Turn(
            id=key,
            number=parent.number + 1 if parent else 0,
            parent=parent.id if parent else None,
            kind=kind,
            prompt=prompt,
            spec=spec if isinstance(spec, TurnSpec) else None,
            restore=spec if isinstance(spec, RestoreSpec) else None,
            image=self._write("image", key, outcome.image),
            latent=self._written("latent", key, outcome.latent),
            mask=self._written("mask", key, outcome.mask),
            region_file=self._written("region", key, outcome.region),
            image_hash=sha256(outcome.image),
            latent_hash=None if outcome.latent is None else sha256(outcome.latent),
            width=outcome.width,
            height=outcome.height,
            token_side=outcome.token_side,
            evaluations=outcome.evaluations,
            sample_evaluations=outcome.sample_evaluations,
            seconds=outcome.seconds,
            drift_original=outcome.drift_original,
            drift_previous=outcome.drift_previous,
            created=_now(),
        )

    def _write(self, what: str, key: str, data: bytes) -> str:
        name = file_name(what, key)
        path = self.folder / name
        with suppress(OSError):  # sessions of older versions have fewer folders; writing says what is wrong
            path.parent.mkdir(exist_ok=True)
        write_atomically(path, data)
        return name

    def _written(self, what: str, key: str, data: bytes | None) -> str | None:
        return None if data is None else self._write(what, key, data)

    def _tree(self, db: sqlite3.Connection) -> Tree:
        rows = db.execute("SELECT id, record FROM turns ORDER BY ordinal")
        turns = {key: self._known(key, record) for key, record in rows}
        head, branch = db.execute("SELECT turn, branch FROM head").fetchone()
        branches = dict(db.execute("SELECT name, turn FROM branches ORDER BY rowid").fetchall())
        return Tree(turns, head, branch, branches, dict(db.execute("SELECT parent, child FROM trail").fetchall()))

    def _turn(self, db: sqlite3.Connection, key: str) -> Turn:
        (record,) = db.execute("SELECT record FROM turns WHERE id = ?", (key,)).fetchone()
        return self._known(key, record)

    def _known(self, key: str, record: str) -> Turn:
        """A turn from its record; turns never change, so each is read once."""
        return self._parsed.get(key) or self._parsed.setdefault(key, Turn.model_validate_json(record))

    def _clear_interrupted(self) -> None:
        with database.transaction(self.folder, write=False) as db:
            rows = db.execute("SELECT id, prompt, spec, host, pid, process, started FROM pending").fetchall()
        for key, prompt, spec, *made_by in rows:
            if not may_live(*made_by):
                decided = SPEC.validate_json(spec) if spec else None
                seed = f" (seed {decided.seed})" if isinstance(decided, TurnSpec) else ""
                log.warning("a turn was interrupted and is not in the session: '%s'%s", prompt, seed)
                self.abandon(Pending(key, "", "", prompt, None))

    def _discard(self, key: str) -> None:
        """Remove a pending turn and its files, unless it was finished in the meantime."""
        with database.transaction(self.folder, write=True) as db:
            if db.execute("SELECT 1 FROM pending WHERE id = ?", (key,)).fetchone():
                # Files first: on a full disk, that makes the room the deletion needs.
                for folder, suffix in FOLDERS.values():
                    for file in (self.folder / folder).glob(f"{key}.{suffix}*"):
                        file.unlink(missing_ok=True)
                db.execute("DELETE FROM pending WHERE id = ?", (key,))


@contextmanager
def _appearing(folder: str | Path) -> Iterator[Path]:
    """A new folder, with the folders of a session in it, that takes its name at the end of the ``with`` block."""
    target = Path(folder).absolute()
    building = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise SessionError(f"'{folder}' already exists: choose another name, or continue the session in it")
        for name, _ in FOLDERS.values():
            (building / name).mkdir(parents=True)
        yield building
        if target.exists():
            target.rmdir()
        building.rename(target)
    except OSError as error:
        raise SessionError(f"cannot create the session '{folder}': {reason(error)}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _insert(db: sqlite3.Connection, turn: Turn) -> None:
    row = (turn.id, turn.parent, turn.model_dump_json())
    db.execute("INSERT INTO turns (id, parent, record) VALUES (?, ?, ?)", row)


def _move_head(db: sqlite3.Connection, turn: Turn, branch: str | None) -> Turn:
    """Put the head on ``turn``, and the way from the original to it on the trail."""
    db.execute("UPDATE head SET turn = ?, branch = ?", (turn.id, branch))
    db.execute(
        "WITH RECURSIVE way (id, parent) AS (SELECT id, parent FROM turns WHERE id = ?"
        " UNION ALL SELECT turns.id, turns.parent FROM turns JOIN way ON turns.id = way.parent)"
        " INSERT OR REPLACE INTO trail SELECT parent, id FROM way WHERE parent IS NOT NULL",
        (turn.id,),
    )
    return turn


def _free_id(taken: set[str], parent: str, content: str) -> str:
    count = 0
    while True:
        key = sha256(f"{parent}\n{content}\n{count}".encode())[:12]
        if key not in taken:
            return key
        count += 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
