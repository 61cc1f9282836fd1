"""Bodies of requests: how large, how many at a time, how slowly, and all of them together in how much memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from starlette.types import Message, Receive

from undrift.studio.http_errors import Refused
from undrift.wording import size

MOST_LARGE = 4
"""Uploads taken at a time."""

MOST_BYTES = 320 * 2**20
"""Held of all bodies together: an archive, and some pictures beside it."""

PAUSE_SECONDS = 15.0
"""How long a body may pause."""

SLOWEST = 32 * 2**10
"""Bytes a second, on the whole, below which a body is given up; a slow phone network has ten times as many."""


class Bodies:
    """The bodies that are being taken or worked on."""

    def __init__(self) -> None:
        self._bytes = 0
        self._places = asyncio.Semaphore(MOST_LARGE)

    @asynccontextmanager
    async def taking(
        self, receive: Receive, limit: int, *, large: bool, called: str = "", waits: bool = False
    ) -> AsyncIterator[Receive]:
        """``receive``, held to ``limit`` bytes and to the rules above, while its request is answered.

        ``called`` is the name of the file that comes, for messages. ``waits``: a large body for which there is no
        place is left where it is until there is one, first come first served; nothing of it is read before.

        Raises:
            Refused: too many large bodies are being taken (429). And by what is returned: too long (413), too slow
                (408), or too much is held already (503).
        """
        if large and not waits and self._places.locked():
            raise Refused(429, f"{MOST_LARGE} files are being taken already: try again in a moment")
        async with self._places if large else nullcontext():
            body = _Body(self, receive, limit, called)
            try:
                yield body.next
            finally:
                self._bytes -= body.seen

    def hold(self, count: int) -> None:
        """Count bytes that arrived.

        Raises:
            Refused: that is more than may be held (503).
        """
        self._bytes += count
        if self._bytes > MOST_BYTES:
            raise Refused(503, "too many files are being taken already: try again in a moment")


class _Body:
    def __init__(self, bodies: Bodies, receive: Receive, limit: int, called: str) -> None:
        self._bodies, self._receive, self._limit, self._called = bodies, receive, limit, called
        self._began = time.monotonic()
        self._whole = False
        self.seen = 0

    async def next(self) -> Message:
        if self._whole:  # what is waited for now is the end of the connection
            return await self._receive()
        spent = time.monotonic() - self._began
        patience = min(PAUSE_SECONDS, PAUSE_SECONDS + self.seen / SLOWEST - spent)
        try:
            message = await asyncio.wait_for(self._receive(), max(patience, 0.001))
        except TimeoutError:
            raise Refused(408, "the rest of the request did not come") from None
        count = len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        self.seen += count
        self._bodies.hold(count)
        if self.seen > self._limit:
            raise Refused(413, too_large(self._limit, self._called))
        return message


def too_large(limit: int, called: str = "") -> str:
    """What a body of more than ``limit`` bytes is told, ``called`` so if it is a file's."""
    name = f"'{called}'" if called else "this"
    return f"{name} is larger than the {size(limit)} that are taken"
