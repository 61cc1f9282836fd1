"""Keeping libtiff quiet: it writes what is wrong with a file to stderr, past Python, where one line is promised."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_alone = threading.Lock()
"""One at a time: of two that overlap, the second would keep what the first one put there."""


@contextmanager
def no_stderr() -> Iterator[None]:
    """What the process writes to its standard error in the block is lost, whichever of its libraries writes it."""
    with _alone:
        try:
            kept = os.dup(_STDERR)
        except OSError:  # closed: nobody can write there
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), _STDERR)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
