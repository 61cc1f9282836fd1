"""The other side of ``undrift.cli.warm``: runs commands one after another in the process that keeps the model."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from undrift.cli import warm
from undrift.errors import Cancelled, InputError

STREAMS = 3
UNUSED_SECONDS = 5.0
"""After which a caller that says nothing is left."""


class _Stop(BaseException):
    """Ctrl-C at the server's own terminal."""


class WarmServer:
    """Runs what ``undrift.cli.warm`` hands over, one command at a time, in this thread.

    Args:
        path: of the socket, which only this user may reach.
        meanwhile: what to do while nobody calls; calls what it is given as often as it can, which raises
            ``Cancelled`` once somebody does.
        moved: told of a session that is at another turn than before.
    """

    def __init__(
        self,
        path: Path,
        meanwhile: Callable[[Callable[[], None]], None] | None = None,
        moved: Callable[[Path], None] = lambda session: None,
    ) -> None:
        self._path = path
        self._meanwhile = meanwhile
        self._moved = moved
        self._code = warm.code_stamp()
        self._working = False
        self._from_caller = False

    def serve(self, listening: socket.socket) -> None:
        """Go on until Ctrl-C."""
        before = signal.signal(signal.SIGINT, self._interrupted)
        try:
            while True:
                if self._meanwhile is not None:
                    self._meanwhile(partial(_check_uncalled, listening))
                connection, _ = listening.accept()
                with connection, suppress(OSError, ValueError):
                    self._answer(connection)
        except _Stop:
            return
        finally:
            signal.signal(signal.SIGINT, before)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(UNUSED_SECONDS)
        if not _same_user(connection):
            return
        request, streams = _received(connection)
        connection.settimeout(None)
        try:
            refused = self._refused(request)
            if "moved" in request or not streams:
                if not refused:
                    self._moved(Path(request["moved"]))
                return
            if refused:
                _say(connection, {"refused": refused})
                return
            connection.sendall(b"\n")
            _say(connection, {"code": self._code_of(connection, request, streams)})
        finally:
            for stream in streams:
                os.close(stream)

    def _refused(self, request: dict[str, Any]) -> str:
        """Why the command is not to be run here; empty if it is."""
        if request["code"] != self._code:
            return "it is another undrift than this one; start it again"
        mine, given = warm.fixed(warm.STARTED_WITH), warm.fixed(request["environment"])
        other = sorted(name for name in mine.keys() | given.keys() if mine.get(name) != given.get(name))
        return f"it was started with another ${other[0]}" if other else ""

    def _code_of(self, connection: socket.socket, request: dict[str, Any], streams: Sequence[int]) -> int:
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(connection, over), daemon=True)
        with _as_the_caller(request, streams):
            self._from_caller = False
            watcher.start()
            self._working = True
            try:
                return _run(request["arguments"])
            except KeyboardInterrupt:
                return 130
            finally:
                self._working = False
                over.set()
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)  # the watcher wakes up
                watcher.join()

    def _watch(self, connection: socket.socket, over: threading.Event) -> None:
        """Pass the caller's Ctrl-C on; a caller that went away wants the result no more."""
        while True:
            try:
                heard = connection.recv(1)
            except OSError:
                heard = b""
            if over.is_set():
                return
            self._from_caller = True
            os.kill(os.getpid(), signal.SIGINT)
            if not heard:
                return

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._working:
            raise KeyboardInterrupt
        if not self._from_caller:
            raise _Stop
        self._from_caller = False  # it came too late to stop anything


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket at ``path`` that only this user may reach; it is gone after the block.

    Raises:
        InputError: another process listens there, or it cannot be made.
    """
    if warm.is_running():
        raise InputError(f"undrift serve runs already ({path}): stop it with Ctrl-C first")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        before = os.umask(0o177)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # left behind by a process that was ended
            made.bind(str(path))
            made.listen()
        except OSError as error:
            raise InputError(
                f"{path} cannot be a socket: {error.strerror}; name another with $UNDRIFT_SOCKET"
            ) from None
        finally:
            os.umask(before)
        try:
            yield made
        finally:
            path.unlink(missing_ok=True)


def _check_uncalled(listening: socket.socket) -> None:
    if select.select([listening], [], [], 0)[0]:
        raise Cancelled("somebody calls")


def _same_user(connection: socket.socket) -> bool:
    """Whether the caller is this user; where the system does not tell, the folder's mode has to do."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, user, _ = memoryview(connection.getsockopt(socket.SOL_SOCKET, option, 12)).cast("i")
    return bool(user == os.getuid())


def _received(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    head, streams, _, _ = socket.recv_fds(connection, 4, STREAMS)
    left, body = int.from_bytes(head, "big"), b""
    if len(streams) not in (0, STREAMS) or not 0 < left <= warm.LONGEST:
        raise ValueError("no command")
    while len(body) < left:
        block = connection.recv(left - len(body))
        if not block:
            raise ValueError("half a command")
        body += block
    return json.loads(body), list(streams)


def _say(connection: socket.socket, answer: dict[str, Any]) -> None:
    connection.sendall(json.dumps(answer).encode() + b"\n")


def _run(arguments: Sequence[str]) -> int:
    from undrift.cli.main import cli

    try:
        cli.main(args=list(arguments), prog_name="undrift")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    return 0


@contextmanager
def _as_the_caller(request: dict[str, Any], streams: Sequence[int]) -> Iterator[None]:
    """Within the block this process has the caller's folder, environment, file mask and streams, and then its own."""
    folder = os.open(".", os.O_RDONLY)
    environment = dict(os.environ)
    own = [os.dup(number) for number in range(STREAMS)]
    texts = (sys.stdin, sys.stdout, sys.stderr)
    mask = os.umask(request["umask"])
    try:
        os.environ.clear()
        os.environ.update(request["environment"])
        _put(streams)
        sys.stdin, sys.stdout, sys.stderr = map(_opened, range(STREAMS), request["encodings"])
        os.chdir(request["folder"])
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdin, sys.stdout, sys.stderr = texts
        _put(own)
        for number in own:
            os.close(number)
        os.umask(mask)
        os.environ.clear()
        os.environ.update(environment)
        os.fchdir(folder)
        os.close(folder)


def _put(numbers: Sequence[int]) -> None:
    for stream, number in enumerate(numbers):
        os.dup2(number, stream)


def _opened(number: int, encoding: str) -> io.TextIOWrapper:
    """A text stream over descriptor ``number``, which stays open when it is closed."""
    raw = io.FileIO(number, "rb" if number == 0 else "wb", closefd=False)
    buffer: Any = io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, encoding=encoding, line_buffering=number == 2 or raw.isatty())
