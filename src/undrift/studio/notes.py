"""What people note of turns: a name, and whether it is a favourite.

Sessions are append-only and the same for everybody who opens them, so this does not belong into them. It is kept in a
file beside them, by the folder's studio, for all of its pages.
"""

from __future__ import annotations

import logging
import threading

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from undrift.files import open_regular, write_atomically
from undrift.studio.forms import TurnId
from undrift.studio.http_errors import Refused
from undrift.studio.session_folders import SessionFolders

log = logging.getLogger(__name__)

FILE = ".undrift-notes.json"
MOST_BYTES = 8 * 2**20
LONGEST_NAME = 80


class Note(BaseModel):
    """What is noted of one turn."""

    model_config = ConfigDict(frozen=True)

    name: str = Field("", max_length=LONGEST_NAME)
    starred: bool = False


NOTHING = Note()


class _NotesFile(BaseModel):
    sessions: dict[str, dict[TurnId, Note]] = Field(default_factory=dict)


class Notes:
    """The notes of all sessions of a folder, read anew for every question: another studio may write them too."""

    def __init__(self, folders: SessionFolders) -> None:
        self._path = folders.root / FILE
        self._lock = threading.Lock()

    def of(self, session: str) -> dict[str, Note]:
        """By turn, what is noted in a session."""
        return dict(self._read().sessions.get(session, {}))

    def write(self, session: str, turn: str, note: Note) -> None:
        """Note something of a turn; ``NOTHING`` forgets what was noted.

        Raises:
            Refused: more is noted already than is kept (400).
            SessionError: the file cannot be written.
        """
        with self._lock:
            kept = self._read()
            notes = kept.sessions.setdefault(session, {})
            notes[turn] = note
            if note == NOTHING:
                del notes[turn]
            self._write(kept)

    def move(self, session: str, name: str) -> None:
        """What was noted of ``session`` is of ``name`` now, and nothing else."""
        with self._lock:
            kept = self._read()
            notes = kept.sessions.pop(session, None)
            gone = kept.sessions.pop(name, None)
            if notes:
                kept.sessions[name] = notes
            if notes is not None or gone is not None:
                self._write(kept)

    def _read(self) -> _NotesFile:
        try:
            with open_regular(self._path, follow=False) as file:
                data = file.read(MOST_BYTES + 1)
            return _NotesFile.model_validate_json(data) if len(data) <= MOST_BYTES else _NotesFile()
        except FileNotFoundError:
            return _NotesFile()
        except (OSError, ValidationError) as error:
            log.warning("the notes of this folder cannot be read: %s", type(error).__name__)
            return _NotesFile()

    def _write(self, kept: _NotesFile) -> None:
        data = kept.model_dump_json(exclude_defaults=True).encode()
        if len(data) > MOST_BYTES:
            raise Refused(400, "there are more notes in this folder than are kept: remove some first")
        write_atomically(self._path, data)
