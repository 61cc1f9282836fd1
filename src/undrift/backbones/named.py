"""Folders of models that somebody named on this machine: a session from elsewhere opens no others.

They are kept in the user's own state folder, not in sessions, which come from anybody. Nothing is looked up on the
disk to find out whether a folder was named: on some systems, looking already asks another machine.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from undrift.files import open_regular

STATE = "XDG_STATE_HOME"
"""The environment variable that says where the user's state is; else ``~/.local/state``."""

_LARGEST = 2**20


def remember(name: str) -> None:
    """Take down that the folder ``name`` was named; a state folder that cannot be written is no failure."""
    if was_named(name):
        return
    with suppress(OSError, RuntimeError, ValueError):
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="ascii") as stream:
            stream.write(json.dumps(_absolute(name)) + "\n")


def was_named(name: str) -> bool:
    """Whether the folder ``name`` was named on this machine before."""
    with suppress(OSError, RuntimeError, ValueError):
        with open_regular(_file()) as stream:
            known = stream.read(_LARGEST).splitlines()
        return json.dumps(_absolute(name)).encode() in known
    return False


def _absolute(name: str) -> str:
    return os.path.abspath(os.path.expanduser(name))


def _file() -> Path:
    return Path(os.environ.get(STATE) or Path.home() / ".local" / "state") / "undrift" / "model-folders"
