"""diffusers and transformers where they load parts: what they raise in one line, what they say themselves unsaid."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from undrift.errors import ModelError, UndriftError

ADVICE = ". If you want"
"""What diffusers' advice to programmers begins with, behind what is wrong."""


@contextmanager
def explained(what: Path) -> Iterator[None]:
    """Turn what the libraries raise about the file or folder ``what`` into a ModelError of one line.

    They raise a dozen types here; all of them mean that the files are not what they should be.
    """
    try:
        yield
    except (torch.OutOfMemoryError, UndriftError):
        raise
    except Exception as error:
        raise ModelError(f"{what} cannot be loaded: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What is wrong: the message's first line, and the next one where it ends in a colon."""
    if isinstance(error, KeyError) and error.args:
        return f"it lacks {error.args[0]}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    told = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return told.partition(ADVICE)[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' own progress bars and notices off the terminal: what they refuse, they raise as well."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    before = [(log, log.is_progress_bar_enabled(), log.get_verbosity()) for log in (of_diffusers, of_transformers)]
    for log, _, _ in before:
        log.disable_progress_bar()
        log.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        for log, shown, level in before:
            log.set_verbosity(level)
            if shown:
                log.enable_progress_bar()
