"""The folder that holds the sessions, and the only place that turns a name from the page into a path.

A name is one plain folder name. Sessions are never followed through symbolic links, so that nothing outside of the
folder can be read or written through the page, whatever is asked for.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Container, Iterator
from pathlib import Path

from undrift.errors import UndriftError
from undrift.session.database import FILE
from undrift.session.store import Session
from undrift.studio.http_errors import Refused

NEW_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9_-])?")
"""Names that the page may give to a new session: safe on every file system, and in a URL."""

RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})
"""Names that Windows keeps for devices."""

LONGEST = 255


class SessionFolders:
    """The sessions in ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._open: dict[tuple[str, int], Session] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Names of the sessions, the most recently changed first."""
        found = sorted(self._found(), reverse=True)
        return [name for _, name in found]

    def session(self, name: str) -> Session:
        """The session called ``name``.

        Raises:
            Refused: there is none of that name directly in the folder (404).
            SessionError: it is damaged, or of a newer undrift.
        """
        folder = self._existing(name)
        key = (name, folder.stat().st_ino)
        with self._lock:
            if key not in self._open:
                self._open[key] = Session.open(folder)
            return self._open[key]

    def new(self, name: str) -> Path:
        """The folder of a new session called ``name``; nothing is made yet.

        Raises:
            Refused: the name is not one a session may have (400), or is taken (409).
        """
        if not NEW_NAME.fullmatch(name) or name.split(".")[0].strip().lower() in RESERVED:
            raise Refused(
                400,
                f"session name {name[:80]!a}: expected 1 to 64 letters, digits, spaces, '.', '-' or '_', "
                "beginning with a letter or digit",
            )
        if os.path.lexists(self.root / name):
            raise Refused(409, f"'{name}' exists already: choose another name")
        return self.root / name

    def free_name(self, wanted: str, taken: Container[str] = ()) -> str:
        """A name that ``new`` accepts, made from ``wanted``, with a number behind it if that is taken.

        ``taken`` are names of sessions that are not there yet.
        """
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("-._ ")[:48].rstrip("-._ ") or "session"
        base = f"session-{plain}" if plain.split(".")[0].lower() in RESERVED else plain
        name, count = base, 1
        while name in taken or os.path.lexists(self.root / name):
            count += 1
            name = f"{base}-{count}"
        return name

    def _found(self) -> Iterator[tuple[float, str]]:
        """Modification time and name of every session; unreadable folders are left out."""
        try:
            with os.scandir(self.root) as entries:
                for entry in entries:
                    try:
                        folder = self._existing(entry.name)
                        yield (folder / FILE).stat().st_mtime, entry.name
                    except (OSError, UndriftError):
                        continue
        except OSError:
            return

    def _existing(self, name: str) -> Path:
        plain = 0 < len(name) <= LONGEST and name.isprintable() and not set(name) & set('/\\:*?"<>|')
        folder = self.root / name if plain and not name.startswith(".") else None
        try:
            if folder is not None and not folder.is_symlink() and _regular(folder / FILE):
                return folder
        except (OSError, ValueError):
            pass
        raise Refused(404, f"no session {name[:80]!a} in {self.root}")


def _regular(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()
