"""A session's folder that is there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from undrift.files import new_folder
from undrift.session.outcome import FOLDERS


@contextmanager
def appearing(folder: str | Path) -> Iterator[Path]:
    """A new folder, with the folders of a session in it, that takes its name at the end of the ``with`` block.

    Raises:
        SessionError: ``folder`` exists and is not empty, or cannot be written; nothing is left behind.
    """
    taken = "choose another name, or continue the session in it"
    with new_folder(folder, making="create the session", instead=taken) as building:
        for name, _ in FOLDERS.values():
            (building / name).mkdir()
        yield building
