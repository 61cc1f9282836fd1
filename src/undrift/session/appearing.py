"""A session's folder that is there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from undrift.errors import SessionError
from undrift.files import reason
from undrift.session.outcome import FOLDERS
from undrift.temporary import Folder


@contextmanager
def appearing(folder: str | Path) -> Iterator[Path]:
    """A new folder, with the folders of a session in it, that takes its name at the end of the ``with`` block.

    Raises:
        SessionError: ``folder`` exists and is not empty, or cannot be written; nothing is left behind.
    """
    target = Path(folder).absolute()
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise SessionError(f"'{folder}' already exists: choose another name, or continue the session in it")
        if not target.parent.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
        building = Folder(target.parent)
    except OSError as error:
        raise SessionError(f"cannot create the session '{folder}': {reason(error)}") from error
    try:
        for name, _ in FOLDERS.values():
            (building.path / name).mkdir()
        yield building.path
        if target.exists():
            target.rmdir()
        building.path.rename(target)
    except OSError as error:
        raise SessionError(f"cannot create the session '{folder}': {reason(error)}") from error
    finally:
        building.remove()
