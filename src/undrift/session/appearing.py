"""A session's folder that is there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from undrift import files
from undrift.session.outcome import FOLDERS

_MAKING = "create the session"
_INSTEAD = "choose another name, or continue the session in it"


@contextmanager
def appearing(folder: str | Path) -> Iterator[Path]:
    """A new folder, with the folders of a session in it, that takes its name at the end of the ``with`` block.

    Raises:
        SessionError: ``folder`` exists and is not empty, or cannot be written; nothing is left behind.
    """
    with files.new_folder(folder, making=_MAKING, instead=_INSTEAD) as building:
        for name, _ in FOLDERS.values():
            (building / name).mkdir()
        yield building


def check_free(folder: str | Path) -> None:
    """Find out before the work whether a session can appear in ``folder``; nothing is made.

    Raises:
        SessionError: it exists and is not empty, or cannot be looked at.
    """
    files.check_free(folder, making=_MAKING, instead=_INSTEAD)
