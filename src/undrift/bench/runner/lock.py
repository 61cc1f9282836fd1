"""One process at a time works on a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from undrift.bench.records import RunFolder
from undrift.errors import InputError

NAME = ".lock"


@contextmanager
def held(run: RunFolder) -> Iterator[None]:
    """Keep other processes away from a run that has a manifest; the lock goes with the process, however that ends.

    Raises:
        InputError: another process is at work on it.
    """
    try:
        with FileLock(run.path / NAME, timeout=0):
            yield
    except Timeout:
        raise InputError(
            f"another process is at work on '{run.path}': wait for it, or choose another folder with --output"
        ) from None
