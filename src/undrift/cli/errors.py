"""Every failure becomes one line on stderr and an exit code."""

from __future__ import annotations

import difflib
import errno
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import click

from undrift.cli.output import say
from undrift.errors import UndriftError
from undrift.wording import one_line

DEBUG_HINT = "add --debug to see the traceback"
MEMORY_HINT = "not enough memory: try --offload model or group, --quantize nf4, --dtype bf16 or a smaller picture"
INTERRUPTED = 130


def guarded(action: Callable[[], Any], debug: Callable[[], bool]) -> int:
    """Run ``action`` and return the exit code, after telling the user what failed in one line.

    Exit codes: 0 done, 1 unexpected, 2 bad input or environment, 130 stopped by Ctrl-C.
    """
    try:
        code = action()
    except click.Abort:
        return _fail("stopped", INTERRUPTED)
    except click.ClickException as error:
        return _fail(_usage(error), UndriftError.exit_code)
    except UndriftError as error:
        return _fail(str(error), error.exit_code)
    except Exception as error:
        if debug():
            say(traceback.format_exc(), err=True)
        return _fail(describe(error), UndriftError.exit_code if _is_of_a_name(error) else 1)
    return code if isinstance(code, int) else 0


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean 'x'? `` if ``name`` is close to something known, else an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{close[0]}'? " if close else ""


def _fail(message: str, code: int) -> int:
    line = one_line(message)
    say(line if code == INTERRUPTED else f"error: {line}", err=True)
    return code


def _usage(error: click.ClickException) -> str:
    # click writes the names of options as Python does, bytes that are no text as ``\\udcff``.
    message = re.sub(r"\\udc([89a-f][0-9a-f])", r"\\x\1", error.format_message())
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f" (see: {context.command_path} --help)" if context is not None else ""
    return message.rstrip(".") + hint


def describe(error: Exception) -> str:
    """What happened and what to do, in a line, for an error that nobody foresaw."""
    if _is_out_of_memory(error):
        return MEMORY_HINT
    if isinstance(error, OSError) and error.errno is not None:
        where = f": {error.filename}" if error.filename else ""
        return f"{_OS_HINTS.get(error.errno, error.strerror or str(error))}{where}"
    return f"unexpected {type(error).__name__}: {error} ({DEBUG_HINT})"


_OS_HINTS = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EROFS: "the folder is read-only; choose another one",
}


def _is_of_a_name(error: Exception) -> bool:
    """Whether the operating system refused a file or folder that was named, not what was done with it."""
    return isinstance(error, OSError) and error.errno in _OF_A_NAME


_OF_A_NAME = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY),
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP),
}


def _is_out_of_memory(error: Exception) -> bool:
    """torch raises OutOfMemoryError on a GPU and a plain RuntimeError on a CPU; torch may not even be imported."""
    torch: Any = sys.modules.get("torch")
    on_gpu = torch is not None and isinstance(error, torch.OutOfMemoryError)
    return on_gpu or isinstance(error, MemoryError) or "can't allocate memory" in str(error)
