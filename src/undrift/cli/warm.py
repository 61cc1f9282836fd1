"""The command line's side of ``undrift serve``: hand a command to the process that has the model in memory.

The command runs over there with this process's streams, folder and environment, so that it reads, writes and ends as
if it ran here. Loads nothing heavy: what a warm command saves is loading.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import socket
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import undrift
from undrift.cli.output import say
from undrift.errors import InputError

SOCKET_VARIABLE = "UNDRIFT_SOCKET"
"""Where the socket is; empty for: nowhere, load the model here."""

COMMANDS = frozenset({"new", "edit", "rebase", "restore", "extend", "run", "batch", "replay", "demo", "video"})
"""Those that load a model."""

FIXED = ("ATEN_", "CUDA_", "HF_", "MKL_", "OMP_", "PYTHONPATH", "PYTORCH_", "TORCH", "XDG_STATE_HOME")
"""What libraries read once when they are loaded: a process that was started with other values computes otherwise."""

PATIENCE = 1.0
"""Seconds after which somebody who waits for another command's end is told so."""

LONGEST = 2**20
"""Bytes of a message."""

LONGEST_PATH = 100
"""Bytes of a socket's path: systems take a little more than a hundred."""

INTERRUPT = b"i"

STARTED_WITH = dict(os.environ)
"""The environment before any library wrote into it: torch does."""


def socket_path() -> Path | None:
    """Where ``undrift serve`` listens; None where it cannot, or shall not be asked.

    Raises:
        InputError: a path that is too long for a socket.
    """
    if not hasattr(socket, "AF_UNIX") or not hasattr(socket, "send_fds"):
        return None
    named = os.environ.get(SOCKET_VARIABLE)
    if named == "":
        return None
    base = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    path = Path(named) if named else Path(base) / "undrift" / "serve.sock"
    if len(os.fsencode(path)) > LONGEST_PATH:
        if not named:
            return None
        raise InputError(f"${SOCKET_VARIABLE} is longer than the {LONGEST_PATH} bytes that a socket's path may have")
    return path


def handed_over(arguments: Sequence[str]) -> int | None:
    """The exit code of a command that ``undrift serve`` ran; None where it has to be run here."""
    if not _is_for_a_model(arguments):
        return None
    with _connected() as connection:
        if connection is None:
            return None
        _ask(connection, arguments)
        answer = _answer(connection)
        if "refused" in answer:
            say(f"note: undrift serve is not used: {answer['refused']}", err=True)
            return None
        if "code" not in answer:
            raise InputError("undrift serve ended while it worked: see its terminal, then run the same command again")
        return int(answer["code"])


def tell_moved(session: Path) -> None:
    """Tell ``undrift serve``, if it runs, that ``session`` is at another turn: the next one is prepared from there.

    Nobody waits for that: it is heard once nothing else is worked on.
    """
    with _connected() as connection:
        if connection is not None:
            with suppress(OSError):
                _send(connection, {"moved": str(session.resolve()), **_sender()}, ())


def is_running() -> bool:
    """Whether an ``undrift serve`` listens."""
    with _connected() as connection:
        return connection is not None


def request(arguments: Sequence[str]) -> dict[str, Any]:
    """What the other process has to know to run a command as if it were this one."""
    mask = os.umask(0)
    os.umask(mask)
    return {
        "arguments": list(arguments),
        "folder": os.getcwd(),
        "encodings": [stream.encoding or "utf-8" for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "umask": mask,
        **_sender(),
    }


def _sender() -> dict[str, Any]:
    """By what the other process knows whether it is to be asked."""
    return {"environment": dict(os.environ), "code": code_stamp()}


def code_stamp() -> str:
    """Which undrift this is: its version, its folder, and when its files were written."""
    home = Path(undrift.__file__).parent
    files = sorted((str(file.relative_to(home)), file.stat().st_mtime_ns) for file in home.rglob("*.py"))
    return f"{undrift.__version__} {home} {hashlib.sha256(repr(files).encode()).hexdigest()[:16]}"


def fixed(environment: dict[str, str]) -> dict[str, str]:
    """The variables of an environment that hold for a process from its start."""
    return {name: value for name, value in environment.items() if name.startswith(FIXED)}


def _is_for_a_model(arguments: Sequence[str]) -> bool:
    named = next((argument for argument in arguments if not argument.startswith("-")), None)
    return named in COMMANDS and not {"-h", "--help"} & set(arguments)


@contextmanager
def _connected() -> Iterator[socket.socket | None]:
    path = socket_path()
    if path is None or not _is_mine(path):
        yield None
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(path))
        except OSError:  # nobody listens any more
            yield None
            return
        yield connection


def _is_mine(path: Path) -> bool:
    """Whether the socket is the user's own: whoever listens there is given the terminal and the environment."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) and found.st_uid == os.getuid()


def _ask(connection: socket.socket, arguments: Sequence[str]) -> None:
    streams = [stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr)]
    sys.stdout.flush()
    _send(connection, request(arguments), streams)


def _send(connection: socket.socket, message: dict[str, Any], streams: Sequence[int]) -> None:
    body = json.dumps(message).encode()
    socket.send_fds(connection, [len(body).to_bytes(4, "big")], streams)
    connection.sendall(body)


def _answer(connection: socket.socket) -> dict[str, Any]:
    """The last line that the other process says; Ctrl-C is passed on to it."""

    def interrupted(number: int, frame: FrameType | None) -> None:
        with suppress(OSError):
            connection.sendall(INTERRUPT)

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        return _told(connection)
    finally:
        signal.signal(signal.SIGINT, before)


def _told(connection: socket.socket) -> dict[str, Any]:
    waiting, data = True, b""
    while True:
        if waiting and not select.select([connection], [], [], PATIENCE)[0]:
            say("waiting for undrift serve, which is busy", err=True)
        waiting = False
        block = connection.recv(LONGEST)
        data += block
        if data.startswith(b"\n"):  # it has begun
            data = data[1:]
        if not block or data.endswith(b"\n"):
            return dict(json.loads(data)) if data else {}
