"""Where tests write: in memory if there is room, for thousands of turns that wait for the disk take minutes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOM = 2 * 1024**3
"""Bytes that must be free; a whole run leaves about a tenth of it at a time."""


def memory_folder() -> Path | None:
    """A folder in memory; None where there is none, or it is as small as containers have it by default."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= ROOM
    return memory if roomy else None
