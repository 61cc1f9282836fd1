"""Which session a command means, and how turns are put into words."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from undrift.cli.options import SESSION_VARIABLE
from undrift.cli.text import line
from undrift.errors import SessionError

if TYPE_CHECKING:
    from undrift.session.model import DriftNumbers, Turn
    from undrift.session.store import Session

DEFAULT_FOLDER = Path("undrift-session")
LONGEST_NAME = 200
"""Bytes of a folder's name that leave room for the endings of files beside it: file systems take 255."""


def open_session(folder: Path | None) -> Session:
    """The session in ``folder``, or the one at hand: in the current folder or in its ``undrift-session``.

    Raises:
        SessionError: there is none; the message says how to start or name one.
    """
    from undrift.session.store import Session

    return Session.open(folder or _at_hand())


def free_folder(name: str) -> Path:
    """``name`` in the current folder, shortened if need be, or ``name-2``, ``name-3`` and so on if it is taken."""
    name = os.fsencode(name)[:LONGEST_NAME].decode("utf-8", "ignore")
    folder, count = Path(name), 1
    while folder.exists():
        count += 1
        folder = Path(f"{name}-{count}")
    return folder


def edit_command(folder: Path) -> str:
    """What to type to go on with the session in ``folder``."""
    named = "" if folder in (Path(), DEFAULT_FOLDER) else f" -s {shlex.quote(str(folder))}"
    return f'undrift edit{named} "..."'


def turn_json(session: Session, turn: Turn) -> dict[str, Any]:
    """A turn as JSON, with the session's folder so that its files can be found."""
    return {"session": str(session.folder), **turn.model_dump(mode="json")}


def turn_line(turn: Turn) -> str:
    """A turn in one line."""
    return f"turn {turn.number} ({turn.id}): {line(turn.told)}"


def drift_text(drift: DriftNumbers | None) -> str:
    """Drift in words; ``-`` for an original, which has none."""
    return "-" if drift is None else drift.text


def _at_hand() -> Path:
    from undrift.session.database import FILE

    for folder in (Path(), DEFAULT_FOLDER):
        if (folder / FILE).is_file():
            return folder
    raise SessionError(
        "no session here: start one with 'undrift new IMAGE --prompt ...', "
        f"or name one with --session or ${SESSION_VARIABLE}"
    )
