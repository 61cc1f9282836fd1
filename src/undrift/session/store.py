"""A session on disk: an append-only tree of turns, and a head that moves over it.

A session is a folder::

    session.sqlite                 the tree (the view ``log`` is made for people)
    pictures/<turn>.png            every turn's picture, with its own parameters inside
    latents/<turn>.safetensors     every turn's latent
    masks/<turn>.png               where a turn edited, one pixel per token
    regions/<turn>.png             where a turn was allowed to change the picture
    references/<turn>.png          pictures whose look a turn was to take on

A turn is announced (``begin``) before its work starts and stored (``finish``) after it: first its files, each
written completely or not at all, then one transaction that appends the turn and moves the head. A process killed in
between leaves files that no turn names; the next ``open`` removes them.

A session may come from anybody: its records are read by ``undrift.session.reading`` alone, its files by
``undrift.session.inside``, and each is held against the other by ``undrift.session.verify``.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from PIL import Image

from undrift.errors import InputError, SessionError, UndriftError
from undrift.files import sha256, sync_folder, write_new
from undrift.pictures import settled
from undrift.session import database, inside, reading, verify, writing
from undrift.session.appearing import appearing
from undrift.session.model import Turn
from undrift.session.outcome import FOLDERS, KINDS, Outcome, Pending, Spec
from undrift.session.process import Claim, WorkingProcess, may_live, sweep, this_process
from undrift.session.references import Look, looks_of
from undrift.session.tree import Tree, check_branch

log = logging.getLogger(__name__)

FIRST_BRANCH = "main"

_MOST_TOLD = 16
"""Interrupted turns of which each is told."""

T = TypeVar("T")


class Session:
    """An open session. Cheap to open; safe to share between threads and processes."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._parsed: dict[str, Turn] = {}
        self._looked_at: set[str] = set()
        self._claims: dict[str, Claim] = {}

    @classmethod
    def create(cls, folder: str | Path, prompt: str, outcome: Outcome) -> Session:
        """Start a session whose original picture is ``outcome``; it appears in ``folder`` as a whole or not at all.

        Raises:
            SessionError: ``folder`` exists and is not empty, or cannot be written.
        """
        with appearing(folder) as building:
            cls(building)._start(prompt, outcome)
        return cls(folder)

    @classmethod
    def assemble(cls, folder: str | Path, tree: Tree, contents: Callable[[Turn, str], bytes]) -> Session:
        """A session of turns that exist already, from elsewhere; it appears as a whole or not at all.

        Args:
            folder: where; it must not exist, or be empty.
            tree: all that the database is to hold.
            contents: the contents of a turn's file by its path within the session; asked for one after another.

        Raises:
            SessionError: ``folder`` exists and is not empty, or cannot be written.
        """
        with appearing(folder) as building:
            for turn in tree.turns.values():
                for name in turn.files:
                    write_new(building / name, contents(turn, name))
            for name, _ in FOLDERS.values():
                sync_folder(building / name)
            database.create(building)
            with database.transaction(building, write=True) as db:
                writing.fill(db, tree)
        return cls(folder)

    @classmethod
    def open(cls, folder: str | Path) -> Session:
        """Open the session in ``folder`` and clear away what killed processes left.

        Raises:
            SessionError: no session there, one of a newer undrift, or one that is seen to be damaged; damage of its
                turns is found by whoever reads them, or here if one of them is unfinished.
        """
        session = cls(folder)
        database.check(session.folder)
        working, dead = set(), []
        for turn, made_by in session._working():
            if may_live(made_by, session.folder, turn.id):
                working.add(turn.id)
            else:
                dead.append(turn)
        session._clear_interrupted(dead)
        sweep(session.folder, working)
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
        return self._verified(turn, turn.image, verify.picture)

    def latent(self, turn: Turn) -> bytes | None:
        """The safetensors file of ``turn``'s latent."""
        return None if turn.latent is None else self._verified(turn, turn.latent, verify.latent)

    def mask(self, turn: Turn) -> Image.Image | None:
        """Where ``turn`` edited: L, one pixel per token, 255 inside."""
        return None if turn.mask is None else self._verified(turn, turn.mask, verify.mask)

    def region(self, turn: Turn) -> Image.Image | None:
        """Where ``turn`` was allowed to change the picture: L, of the picture's size, 0 where it was not."""
        if turn.region_file is None:
            return None
        return settled(self._verified(turn, turn.region_file, verify.picture).convert("L"))

    def references(self, turn: Turn) -> tuple[Look, ...]:
        """The pictures whose look ``turn`` was to take on."""
        if turn.references_file is None:
            return ()
        sheet = self._verified(turn, turn.references_file, verify.references)
        return looks_of(sheet, (turn.width, turn.height))

    def contents(self, turn: Turn, name: str) -> bytes:
        """The file ``name`` of ``turn`` as it was stored; of what is in it, nothing is looked at.

        Raises:
            SessionError: missing, unreadable, or not what was stored.
        """
        return self._verified(turn, name, verify.stored)

    def checked(self, turn: Turn, name: str) -> bytes:
        """The same for a file that is handed on: all that its turn says of it is checked (``verify.check``)."""

        def read(turn: Turn, name: str, data: bytes) -> bytes:
            verify.check(turn, name, data)
            return data

        return self._verified(turn, name, read)

    def undo(self, steps: int = 1) -> Turn:
        """Move the head to its parent, ``steps`` times; nothing is lost. The branch still names the turn before.

        Raises:
            InputError: so many turns do not lead to the head; it stays where it is.
        """
        with database.transaction(self.folder, write=True) as db:
            tree = self._tree(db)
            path = tree.path(tree.head)
            if len(path) == 1:
                raise InputError("nothing to undo: the head is the original picture")
            if steps >= len(path):
                raise InputError(f"cannot undo {steps} turns: {len(path) - 1} lead to the head")
            return writing.move_head(db, path[-1 - steps], tree.branch)

    def redo(self, steps: int = 1) -> Turn:
        """Move the head to the child it was last on, ``steps`` times.

        Raises:
            InputError: so many turns were not undone here; the head stays where it is.
        """
        with database.transaction(self.folder, write=True) as db:
            tree = self._tree(db)
            turn = tree.head
            for done in range(steps):
                if turn.id not in tree.trail:
                    few = f"cannot redo {steps} turns: {done} were made from the head, one after another"
                    raise InputError(few if done else "nothing to redo: no turn was made from the head")
                turn = tree.turns[tree.trail[turn.id]]
            return writing.move_head(db, turn, tree.branch)

    def checkout(self, ref: str | int) -> Turn:
        """Move the head to ``ref``. A branch's name also makes that branch follow the head; else none does."""
        with database.transaction(self.folder, write=True) as db:
            tree = self._tree(db)
            return writing.move_head(db, tree.turn(ref), str(ref) if ref in tree.branches else None)

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
            return writing.move_head(db, turn, name)

    def place(self, branches: Mapping[str, str], head: str, branch: str | None) -> None:
        """Set branches (id of the newest turn by name), head and followed branch at once, as a replay needs."""
        with database.transaction(self.folder, write=True) as db:
            db.executemany("INSERT OR REPLACE INTO branches VALUES (?, ?)", branches.items())
            writing.move_head(db, self._tree(db).turn(head), branch)

    def begin(self, parent: Turn, prompt: str, spec: Spec | None = None) -> Pending:
        """Record a turn before its work starts. End it with ``finish`` or ``abandon``.

        Raises:
            InputError: more text than is recorded of a turn, or as many turns as a session can have.
            SessionError: the folder cannot be written.
        """
        with database.transaction(self.folder, write=True) as db:
            reading.check_room(db, prompt, spec)
            taken = {row[0] for row in db.execute("SELECT id FROM turns UNION SELECT id FROM pending")}
            (head,) = db.execute("SELECT turn FROM head").fetchone()
            content = spec.model_dump_json() if spec else prompt
            pending = Pending(_free_id(taken, parent.id, content), parent.id, head, prompt, spec)
            self._claims[pending.id] = Claim(self.folder, pending.id)
            row = (
                pending.id,
                parent.id,
                head,
                prompt,
                spec and spec.model_dump_json(),
                *this_process(),
                writing.now(),
            )
            db.execute("INSERT INTO pending VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        return pending

    def finish(self, pending: Pending, outcome: Outcome, *, move_head: bool = True) -> Turn:
        """Append the turn; the head moves to it unless somebody moved the head since ``begin``, or it is not to.

        Raises:
            SessionError: the folder cannot be written; the tree is unchanged and ``abandon`` is in order.
        """
        with database.transaction(self.folder, write=False) as db:
            parent = self._turn(db, pending.parent)
        turn = writing.files(
            self.folder, outcome, pending.id, KINDS[type(pending.spec)], pending.prompt, parent, pending.spec
        )
        with database.transaction(self.folder, write=True) as db:
            if not db.execute("DELETE FROM pending WHERE id = ?", (pending.id,)).rowcount:
                raise SessionError(f"turn {pending.id} was discarded by another process while it was worked on")
            head, followed = db.execute("SELECT turn, branch FROM head").fetchone()
            writing.insert(db, turn)
            db.execute("INSERT OR IGNORE INTO trail VALUES (?, ?)", (parent.id, turn.id))
            if move_head and head == pending.head:
                branch = followed if parent.id == head else None
                db.execute("UPDATE branches SET turn = ? WHERE name = ?", (turn.id, branch))
                writing.move_head(db, turn, branch)
        self._release(pending.id)
        return turn

    def abandon(self, pending: Pending) -> None:
        """Forget a turn that failed or was cancelled; never raises, the next ``open`` finds what is left."""
        self._forget([pending.id])

    def unfinished(self) -> tuple[Pending, ...]:
        """The turns being worked on."""
        return tuple(turn for turn, _ in self._working())

    def _start(self, prompt: str, outcome: Outcome) -> None:
        database.create(self.folder)
        reading.check_size(prompt, None)
        key = _free_id(set(), "", f"{prompt}\n{sha256(outcome.image)}")
        turn = writing.files(self.folder, outcome, key, "original", prompt, None, None)
        with database.transaction(self.folder, write=True) as db:
            writing.insert(db, turn)
            db.execute("INSERT INTO branches VALUES (?, ?)", (FIRST_BRANCH, turn.id))
            db.execute("INSERT INTO head VALUES (?, ?)", (turn.id, FIRST_BRANCH))

    def _tree(self, db: sqlite3.Connection) -> Tree:
        with self._reading():
            found = reading.tree(db, self._parsed)
            self._look_at_pictures(found.turns.values())
            return found

    def _turn(self, db: sqlite3.Connection, key: str) -> Turn:
        (record,) = db.execute("SELECT record FROM turns WHERE id = ?", (key,)).fetchone()
        with self._reading():
            return reading.turn(key, record, self._parsed)

    def _working(self) -> list[tuple[Pending, WorkingProcess]]:
        with database.transaction(self.folder, write=False) as db, self._reading():
            return reading.pending(db, self._parsed)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except reading.Damaged as error:
            raise SessionError(f"the session '{self.folder}' is damaged: {error}") from None

    def _verified(self, turn: Turn, name: str, read: Callable[[Turn, str, bytes], T]) -> T:
        """What ``read`` makes of a turn's file, once it was held against the turn's record."""
        data = inside.read(self.folder, name, verify.most_bytes(turn))
        with self._reading():
            return read(turn, name, data)

    def _look_at_pictures(self, turns: Iterable[Turn]) -> None:
        """Hold records against the pictures that they are of, each once."""
        for turn in turns:
            if turn.id not in self._looked_at:
                verify.beginning(turn, inside.beginning(self.folder, turn.image, verify.BEGINNING))
                self._looked_at.add(turn.id)

    def _clear_interrupted(self, turns: Sequence[Pending]) -> None:
        for turn in turns[:_MOST_TOLD]:
            log.warning("a turn was interrupted and is not in the session: %s", turn.text)
        if left := len(turns) - len(turns[:_MOST_TOLD]):
            log.warning("so were %d more", left)
        if turns:
            self._forget([turn.id for turn in turns])

    def _forget(self, keys: Sequence[str]) -> None:
        try:
            self._discard(keys)
        except (UndriftError, OSError):
            log.debug("could not clear away turns %s", ", ".join(keys), exc_info=True)
        for key in keys:
            self._release(key)

    def _discard(self, keys: Sequence[str]) -> None:
        """Remove pending turns and their files, but for those that were finished in the meantime."""
        with database.transaction(self.folder, write=True) as db:
            pending = {key for (key,) in db.execute("SELECT id FROM pending")}
            if left := [key for key in keys if key in pending]:
                # Files first: on a full disk, that makes the room the deletion needs.
                inside.remove(self.folder, left)
                db.executemany("DELETE FROM pending WHERE id = ?", [(key,) for key in left])

    def _release(self, key: str) -> None:
        if (claim := self._claims.pop(key, None)) is not None:
            claim.release()


def _free_id(taken: set[str], parent: str, content: str) -> str:
    count = 0
    while True:
        key = sha256(f"{parent}\n{content}\n{count}".encode())[:12]
        if key not in taken:
            return key
        count += 1
