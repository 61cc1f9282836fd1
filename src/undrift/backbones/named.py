"""What somebody named on this machine: folders of models, and files of weights to go into them.

A session from elsewhere opens nothing else. Both are kept in the user's own state folder, not in sessions, which come
from anybody. Nothing is looked up on the disk to find out whether it was named: on some systems, looking already asks
another machine.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from undrift.files import open_regular
from undrift.from_json import from_json

STATE = "XDG_STATE_HOME"
"""The environment variable that says where the user's state is; else ``~/.local/state``."""

FOLDERS, FILES = "model-folders", "weight-files"
"""What the lists are called: of paths, and of pairs of a digest and a path, a line each."""

_LARGEST = 2**20


def remember(name: str) -> None:
    """Take down that the folder ``name`` was named; a state folder that cannot be written is no failure."""
    if not was_named(name):
        _append(FOLDERS, _absolute(name))


def was_named(name: str) -> bool:
    """Whether the folder ``name`` was named on this machine before."""
    with suppress(OSError, RuntimeError, ValueError):
        return json.dumps(_absolute(name)).encode() in _lines(FOLDERS)
    return False


def remember_file(digest: str, file: Path) -> None:
    """Take down that ``file`` was given, and what it holds; as ``remember`` does."""
    path = _absolute(str(file))
    if files_of(digest)[:1] != [Path(path)]:
        _append(FILES, [digest, path])


def files_of(digest: str) -> list[Path]:
    """Where a file of these contents was when it was given on this machine, the last place first."""
    found: list[Path] = []
    with suppress(OSError, RuntimeError, ValueError):
        for line in _lines(FILES):
            given = from_json(line.decode())
            if isinstance(given, list) and len(given) == 2 and given[0] == digest:
                found.insert(0, Path(given[1]))
    return found


def _absolute(name: str) -> str:
    return os.path.abspath(os.path.expanduser(name))


def _lines(of: str) -> list[bytes]:
    with open_regular(_file(of)) as stream:
        return stream.read(_LARGEST).splitlines()


def _append(of: str, entry: object) -> None:
    with suppress(OSError, RuntimeError, ValueError):
        file = _file(of)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="ascii") as stream:
            stream.write(json.dumps(entry) + "\n")


def _file(of: str) -> Path:
    return Path(os.environ.get(STATE) or Path.home() / ".local" / "state") / "undrift" / of
