"""What stands before every request: who may ask, from where, how much, and what the browser may do with the answer.

- ``Host`` must be a name of this machine. A page of somebody else that rebinds its own name to this address (DNS
  rebinding) carries its own name there.
- A request that changes something must come from the studio's own pages (``Origin``, with its scheme and port, and
  ``Sec-Fetch-Site``). Programs send neither and may ask; browsers cannot leave them out.
- With a password, everything but the login page needs the login's cookie.
- A body has at most as many bytes as its route allows, counted while it arrives; see ``bodies`` for what else.
"""

from __future__ import annotations

import ipaddress
import platform
import re
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from undrift.studio.answers import JSONResponse
from undrift.studio.bodies import Bodies, too_large
from undrift.studio.http_errors import Refused

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
SAFE = ("GET", "HEAD")
OPEN_PATHS = ("/login", "/static/base.css", "/static/login.css", "/static/icon.svg")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(:[0-9]{1,5})?")
_PORTS = {"http": 80, "https": 443}
JSON_BYTES = 8 * 2**20
"""A request of the page: three painted masks at most."""

LONGEST_NAME = 255
"""Characters of a file's name: as many as file systems take."""


class Lock(Protocol):
    """Knows who may come in."""

    missing: str
    """What everybody else is told."""

    def knows(self, request: Request) -> bool:
        """Whether ``request`` may."""


ErrorAnswer = Callable[[int, str], Response]


class Guard:
    """ASGI middleware around the whole studio.

    Args:
        app: what it guards.
        host: the address that the studio listens on.
        door: checks the login's cookie; None lets everyone on this machine in.
        limits: bytes that a body may have, by path; ``JSON_BYTES`` for every other path.
        inside: what addresses for programs begin with; pages of other sites get nothing from there.
        error_answer: an answer with a status and a message; None takes ``{"error": message}``.
        waits: large bodies for which there is no place wait for one, instead of being refused: where a request takes
            as long as its turn.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        door: Lock | None,
        limits: Mapping[str, int],
        inside: str = "/api/",
        error_answer: ErrorAnswer | None = None,
        *,
        waits: bool = False,
    ) -> None:
        self._app = app
        self._host = host
        self._door = door
        self._limits = limits
        self._inside = inside
        self._error_answer = error_answer or _error
        self._bodies, self._waits = Bodies(), waits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._turned_away(Request(scope))
        if answer is not None:
            await answer(scope, receive, _with_headers(send))
            return
        limit = self._limits.get(scope["path"], JSON_BYTES)
        try:
            called = file_name(Request(scope))
            large = limit > JSON_BYTES
            async with self._bodies.taking(receive, limit, large=large, called=called, waits=self._waits) as taken:
                await self._app(scope, taken, _with_headers(send))
        except Refused as refused:
            await self._error_answer(refused.status, str(refused))(scope, receive, _with_headers(send))

    def _turned_away(self, request: Request) -> Response | None:
        """The answer to a request that goes no further."""
        if not self._is_own(request.headers.get("host", "")):
            return self._error_answer(421, "this address is not this server's: call it by the one that it printed")
        if not _from_own_page(request, self._inside):
            return self._error_answer(403, "requests from other sites are refused")
        path = request.scope["path"]
        length = request.headers.get("content-length", "0")
        limit = self._limits.get(path, JSON_BYTES)
        if not length.isdecimal() or int(length) > limit:
            return self._error_answer(413, too_large(limit, file_name(request)))
        if self._door is None or path in OPEN_PATHS or self._door.knows(request):
            return None
        if path.startswith(self._inside):
            return self._error_answer(401, self._door.missing)
        return RedirectResponse("/login", 303)

    def _is_own(self, host: str) -> bool:
        """Whether a Host header names this machine: addresses cannot be rebound, only names can."""
        if (asked := _parts("http", host)) is None:
            return False
        name = asked[1]
        loopback = is_loopback(self._host)
        try:
            return ipaddress.ip_address(name).is_loopback or not loopback
        except ValueError:
            machine = set() if loopback else {platform.node().lower(), self._host.lower()}
            return name in {"localhost", *machine} - {""}


def file_name(request: Request) -> str:
    """What the file is called that comes with a request, by its address; empty where that does not say it."""
    return " ".join(request.query_params.get("name", "").split())[:LONGEST_NAME]


def is_loopback(host: str) -> bool:
    """Whether ``host`` is an address that only this machine reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _from_own_page(request: Request, inside: str) -> bool:
    headers = request.headers
    site = headers.get("sec-fetch-site", "none")
    if request.method in SAFE:
        # Links from elsewhere may lead to the page itself, not to its pictures and numbers.
        return site != "cross-site" or not request.scope["path"].startswith(inside)
    if site not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or _is_origin(origin, request.scope["scheme"], headers.get("host", ""))


def _is_origin(origin: str, scheme: str, host: str) -> bool:
    """Whether ``origin`` is that of a page that ``host`` served by ``scheme``: scheme, name and port are equal."""
    its_scheme, mark, its_host = origin.partition("://")
    found = _parts(its_scheme, its_host) if mark else None
    return found is not None and found == _parts(scheme, host)


def _parts(scheme: str, host: str) -> tuple[str, str, int] | None:
    """Scheme, name and port of a ``Host`` header; None if it is none."""
    if not _HOST.fullmatch(host):
        return None
    try:
        split = urlsplit(f"//{host}")
        port = split.port
    except ValueError:
        return None
    return scheme.lower(), split.hostname or "", port or _PORTS.get(scheme.lower(), 0)


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sent
