"""Serving the studio: the socket, the browser, and an end that cuts nothing off."""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from types import FrameType

import torch
import uvicorn
from starlette.types import ASGIApp

from undrift.errors import InputError
from undrift.files import reason
from undrift.studio.app import create_app
from undrift.studio.connections import Connection
from undrift.studio.guard import is_loopback
from undrift.studio.password import SHORTEST
from undrift.studio.studio import Studio

MakeApp = Callable[[Studio, str, str | None], ASGIApp]

USUAL_PORT = 7860
GRACE_SECONDS = 3
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it."""
BACKLOG = 64
"""Connections accepted at once, before any is looked at: with those that are open, fewer than a process may have."""
SWITCH_SECONDS = 0.0005
"""How long one thread may keep Python from the others; Python's own 5 ms would be waited for many times a request."""


def serve(
    studio: Studio,
    listening: socket.socket,
    host: str,
    password: str | None,
    ready: Callable[[str], None],
    make_app: MakeApp = create_app,
) -> None:
    """Serve until Ctrl-C.

    Args:
        studio: what to serve.
        listening: from ``listen``.
        host, password: as given to ``listen`` and ``check_password``.
        ready: told the page's address once it is served.
        make_app: what answers, made of the studio, the address and the password.
    """
    make_room()
    threading.Timer(0.0, ready, [address(listening, host)]).start()
    try:
        server_of(studio, host, password, make_app).run([listening])
    finally:
        if studio.jobs.working:
            # A network still computing in a thread would abort the interpreter's own way out.
            atexit.register(_leave)


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


def server_of(studio: Studio, host: str, password: str | None, make_app: MakeApp = create_app) -> uvicorn.Server:
    """What serves ``studio`` on the sockets given to its ``run``."""
    config = uvicorn.Config(
        make_app(studio, host, password),
        http=Connection,
        ws="none",
        backlog=BACKLOG,
        log_level="error",  # warnings are of malformed requests, which anybody may send
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return _Server(config, studio)


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens on ``host``; without a port the usual one, or a free one if that is taken.

    Raises:
        InputError: the port is taken or not allowed, or there is no such address here.
    """
    try:
        family, kind, protocol, _, found = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InputError(f"--host {host}: no address of this machine ({reason(error)})") from None
    for wanted in [port] if port is not None else [USUAL_PORT, 0]:
        opened = socket.socket(family, kind, protocol)
        if os.name == "posix":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((found[0], wanted, *found[2:]))
            opened.listen(128)
            return opened
        except OSError as error:
            opened.close()
            failure = error
    raise InputError(f"cannot listen on {host} port {port}: {reason(failure)}; choose another --port")


def check_password(
    host: str,
    password: str | None,
    shortest: int = SHORTEST,
    called: str = "password",
    given: str = "--password or $UNDRIFT_PASSWORD",
) -> None:
    """Refuse to listen where others can reach it without a password worth its name.

    Raises:
        InputError: none or a short one.
    """
    if password is None and not is_loopback(host):
        raise InputError(f"--host {host} can be reached from other machines: set a {called} with {given}")
    if password is not None and len(password) < shortest:
        raise InputError(f"the {called} has {len(password)} characters, expected at least {shortest}")


def address(listening: socket.socket, host: str) -> str:
    """What to type into the browser on this machine."""
    port = listening.getsockname()[1]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/"


def open_browser(url: str) -> None:
    """Show ``url`` in the user's browser; a machine without one has the printed address."""
    try:
        webbrowser.open(url)
    except webbrowser.Error:
        return


def make_room() -> None:
    """Leave the server one processor core, and let it take over from a running turn's Python at once."""
    sys.setswitchinterval(SWITCH_SECONDS)
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))


class _Server(uvicorn.Server):
    """Ends the pages' event streams on Ctrl-C: they would otherwise keep it from stopping."""

    def __init__(self, config: uvicorn.Config, studio: Studio) -> None:
        super().__init__(config)
        self._studio = studio

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._studio.events.close()
        super().handle_exit(sig, frame)
