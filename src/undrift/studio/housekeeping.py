"""Sessions as a whole: another name, away with it, and back again. Nothing is ever deleted here."""

from __future__ import annotations

import os
from pathlib import Path

from undrift.errors import SessionError
from undrift.files import reason
from undrift.session.database import FILE
from undrift.session.inside import check_folder
from undrift.studio.http_errors import Refused
from undrift.studio.studio import Studio

REMOVED = ".undrift-removed"
"""The folder, beside the sessions, of those that were removed."""


def rename(studio: Studio, name: str, wanted: str) -> str:
    """Call the session ``name`` something else.

    Raises:
        Refused: no such session, a name that it cannot have or that is taken, or it is being worked on.
        SessionError: the folder cannot be renamed.
    """
    folder, new = _idle(studio, name), studio.folders.new(wanted)
    _move(folder, new)
    studio.notes.move(name, wanted)
    return wanted


def remove(studio: Studio, name: str) -> None:
    """Take a session out of the list, into the folder of those that were removed.

    Raises:
        Refused, SessionError: as for ``rename``.
    """
    folder, bin_ = _idle(studio, name), _bin(studio)
    try:
        bin_.mkdir(exist_ok=True)
        check_folder(bin_)
    except OSError as error:
        raise SessionError(f"cannot use {bin_}: {reason(error)}") from None
    count, target = 1, bin_ / name
    while os.path.lexists(target):
        count += 1
        target = bin_ / f"{name}-{count}"
    _move(folder, target)
    studio.notes.move(name, f"{REMOVED}/{target.name}")


def removed(studio: Studio) -> list[str]:
    """Names of the sessions that can be brought back."""
    try:
        check_folder(_bin(studio))
        found = [entry.name for entry in os.scandir(_bin(studio)) if _is_session(Path(entry.path))]
    except OSError:
        return []
    return sorted(found)


def bring_back(studio: Studio, name: str) -> str:
    """Put a removed session back into the list; another name is found for it if its own is taken.

    Raises:
        Refused: no session of that name was removed (404).
        SessionError: the folder cannot be moved.
    """
    if name not in removed(studio):
        raise Refused(404, f"no session {name[:80]!a} was removed")
    wanted = studio.folders.free_name(name) if os.path.lexists(studio.folders.root / name) else name
    _move(_bin(studio) / name, studio.folders.root / wanted)
    studio.notes.move(f"{REMOVED}/{name}", wanted)
    return wanted


def _bin(studio: Studio) -> Path:
    return studio.folders.root / REMOVED


def _is_session(folder: Path) -> bool:
    return not folder.is_symlink() and (folder / FILE).is_file()


def _idle(studio: Studio, name: str) -> Path:
    """The folder of a session that nobody is making a turn in."""
    session = studio.folders.session(name)
    waiting = any(job.about.session == name for job in studio.jobs.unfinished())
    if waiting or session.unfinished():
        raise Refused(409, f"a turn of '{name}' is on its way: cancel it, or wait until it is there")
    return session.folder


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        raise SessionError(f"cannot move {source.name}: {reason(error)}") from None
