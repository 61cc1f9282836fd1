"""Connections that say nothing, or take nothing, are ended, so that they cannot keep anybody out.

uvicorn waits for the first request of a connection without end, and takes as many connections as there are. Here a
request's header has ``HEADER_SECONDS`` to arrive, and at ``most()`` connections the one that has kept the studio
waiting longest makes room for the next.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
MOST = 128
DESCRIPTORS_EACH = 4
"""Of the files that the process may open, one in so many is for a connection; the rest is for sessions and models."""


class Connection(H11Protocol):
    """One connection: it is waiting until a request is complete, and again after each answer."""

    _late: asyncio.TimerHandle | None = None
    _since = 0.0
    _untaken_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        room = make_room(self.connections)
        super().connection_made(transport)
        self._since = self.loop.time()
        if room:
            self._watch()
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def pause_writing(self) -> None:
        """The other side does not take what it asked for."""
        self._untaken_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._untaken_since = None
        super().resume_writing()

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    @property
    def waiting_since(self) -> float | None:
        """When it began to keep the studio waiting, for a request, for the rest of one, or for an answer to be taken;
        None if the studio is at it.
        """
        if self.transport.is_closing():
            return None
        if self._untaken_since is not None:
            return self._untaken_since
        keeps_waiting = self._idle() or (self.cycle.more_body and not self.cycle.response_started)
        return self._since if keeps_waiting or self._asks_ahead() else None

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _asks_ahead(self) -> bool:
        """Whether the next requests lie here already, as no browser sends them: they could be without number."""
        return not self.cycle.more_body and bool(self.conn.trailing_data[0])

    def _watch(self) -> None:
        """Give the next header until ``HEADER_SECONDS`` from when the waiting began."""
        if not self._idle():
            self._unwatch()
        elif self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_at(self._since + HEADER_SECONDS, self.transport.abort)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def make_room(connections: set[Any]) -> bool:
    """Whether there is room for one more connection, if need be that of the one that has waited longest."""
    if len(connections) < most():
        return True
    waiting = [(since, id(each), each) for each in connections if (since := each.waiting_since) is not None]
    if waiting:
        min(waiting)[2].transport.abort()
    return bool(waiting)


def most() -> int:
    """How many connections there may be at a time."""
    try:
        import resource
    except ImportError:  # Windows, where sockets are no files
        return MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(8, min(MOST, soft // DESCRIPTORS_EACH))
