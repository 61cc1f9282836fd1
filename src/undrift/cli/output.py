"""How results are printed: the one place that writes text to stdout and stderr, whatever they can show.

A turn that was stored must not be reported as failed because a terminal cannot show its prompt. Characters that an
encoding lacks are written as escapes; a reader who left early (``undrift log | head -1``) is no failure.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from undrift.cli.text import shown
from undrift.errors import UndriftError
from undrift.files import reason


class OutputError(UndriftError):
    """stdout cannot be written, though what was to be told about is done."""

    exit_code = 1


_results_on_stderr = ContextVar("_results_on_stderr", default=False)


def begin() -> None:
    """Have stdout and stderr write what their encoding lacks as ``\\xNN``, ``\\uNNNN`` or ``\\UNNNNNNNN``."""
    _results_on_stderr.set(False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def leave_stdout() -> None:
    """Print results to stderr from now on: stdout takes a file (``-o /dev/stdout``)."""
    _results_on_stderr.set(True)


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Print ``text`` to stdout, or to stderr if ``err``, as something to read: see ``undrift.cli.text``.

    Raises:
        OutputError: stdout cannot be written, as on a full disk.
    """
    # Not click.echo: where the encoding is ASCII, it writes UTF-8 nevertheless.
    with printing(err=err) as stream:
        stream.write(shown(text) + end)


@contextmanager
def printing(*, err: bool = False) -> Iterator[TextIO]:
    """stdout or stderr for the time of a ``with`` block.

    Raises:
        OutputError: stdout cannot be written; nobody could be told that of stderr.
    """
    err = err or _results_on_stderr.get()
    stream = sys.stderr if err else sys.stdout
    try:
        yield stream
        stream.flush()
    except BrokenPipeError:
        _close_quietly(stream)
    except OSError as error:
        _close_quietly(stream)
        if not err:
            raise OutputError(f"stdout cannot be written: {reason(error)}; what was asked for is done") from None


def emit(as_json: bool, value: Mapping[str, Any], text: str) -> None:
    """Print ``value`` as one JSON object, or ``text``."""
    say(as_json_text(value, sys.stdout.encoding) if as_json else text)


def as_json_text(value: Mapping[str, Any], encoding: str | None) -> str:
    """``value`` as JSON, with JSON's own escapes if ``encoding`` lacks one of its characters."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=2, default=str)
    return text


def _close_quietly(stream: TextIO) -> None:
    """Let what is still buffered, and all that follows, go nowhere: Python would complain again when it ends."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except OSError:
        pass
