"""Which process works on a turn, and whether it still can."""

from __future__ import annotations

import os
import platform
import uuid
from datetime import UTC, datetime, timedelta

_PROCESS = uuid.uuid4().hex
_ABANDONED_AFTER = timedelta(days=7)


def owner() -> tuple[str, int, str]:
    """Host, process number and a mark of this very process, as a pending turn records them."""
    return platform.node(), os.getpid(), _PROCESS


def may_live(host: str, pid: int, process: str, started: str) -> bool:
    """Whether the process that began a turn may still be working on it; unknown counts as yes for a week."""
    if datetime.now(UTC) - datetime.fromisoformat(started) > _ABANDONED_AFTER:
        return False
    if host != platform.node() or os.name != "posix":
        return True
    if pid == os.getpid():
        return process == _PROCESS
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
