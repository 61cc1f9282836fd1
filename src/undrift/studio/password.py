"""The password that a studio reachable from other machines demands."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable

from starlette.requests import Request

from undrift.studio.http_errors import Refused

SHORTEST = 8
ATTEMPTS = 5
WINDOW_SECONDS = 60.0
MOST_LOGINS = 256


class Door:
    """Knows who has logged in.

    Failed attempts are counted over all addresses together, because addresses are cheap: at most ``ATTEMPTS`` within
    ``WINDOW_SECONDS``, then nobody new gets in until the oldest is past. Whoever is in stays in.
    """

    missing = "log in first"

    def __init__(self, password: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._digest = _digest(password)
        self._clock = clock
        self._failed: deque[float] = deque(maxlen=ATTEMPTS)
        self._logins: deque[bytes] = deque(maxlen=MOST_LOGINS)
        self._lock = threading.Lock()

    def log_in(self, password: str) -> str:
        """A new cookie's value.

        Raises:
            Refused: wrong (403), or too many attempts failed lately (429).
        """
        with self._lock:
            now = self._clock()
            if len(self._failed) == ATTEMPTS and now - self._failed[0] < WINDOW_SECONDS:
                wait = WINDOW_SECONDS - (now - self._failed[0])
                raise Refused(429, f"too many wrong passwords: try again in {wait:.0f} s")
            if not hmac.compare_digest(_digest(password), self._digest):
                self._failed.append(now)
                raise Refused(403, "wrong password")
            token = secrets.token_urlsafe(32)
            self._logins.append(_digest(token))
            return token

    def log_out(self, request: Request) -> None:
        """Forget the login of ``request``."""
        token = _digest(request.cookies.get(cookie_name(request), ""))
        with self._lock:
            self._logins = deque((known for known in self._logins if known != token), maxlen=MOST_LOGINS)

    def knows(self, request: Request) -> bool:
        """Whether ``request`` carries the cookie of a login."""
        token = _digest(request.cookies.get(cookie_name(request), ""))
        with self._lock:
            return sum(hmac.compare_digest(token, known) for known in self._logins) > 0


def cookie_name(request: Request) -> str:
    """Cookies know no ports: the name has to tell two studios of one machine apart."""
    return f"undrift_{request.url.port or 80}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
