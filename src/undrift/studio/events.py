"""What happened, told to every open page: a short log that any thread writes and any number of pages follow.

Pages follow it over Server-Sent Events. Every event has an id of the form ``<boot>-<number>``; a page that comes back
with the last id it saw gets what it missed, or ``reset`` if that is no longer known (a restarted studio, a very long
sleep), upon which it asks for everything anew.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

KEPT = 512
ALIVE_SECONDS = 15.0
MOST_FOLLOWERS = 64


@dataclass(frozen=True)
class Event:
    """``key`` names what the event is about: of several events with one key only the newest matters."""

    number: int
    kind: str
    key: str
    data: Any


class EventLog:
    """The newest events, and the pages waiting for the next one."""

    def __init__(self) -> None:
        self._boot = secrets.token_hex(4)
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._last = 0
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether every stream was ended, because the server stops."""
        return self._closed

    def publish(self, kind: str, key: str, data: Any) -> None:
        """Append an event; from any thread."""
        with self._lock:
            self._last += 1
            self._events.append(Event(self._last, kind, key, data))
        self._wake()

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closed = True
        self._wake()

    async def stream(self, after: str | None, most: int = MOST_FOLLOWERS) -> AsyncIterator[str]:
        """Events as text of an event stream, those after the id ``after`` first.

        Of more than ``most`` streams at a time the oldest one ends: a page that still follows it comes back.
        """
        position = self._position(after)
        known = position is not None
        seen = self._last if position is None else position
        yield self._text("hello" if known or after is None else "reset", seen, {})
        signal = asyncio.Event()
        self._enter(signal, most)
        try:
            while not self._closed and signal in self._waiting:
                signal.clear()
                missed, fresh = self._since(seen)
                if missed:
                    yield self._text("reset", seen := self._last, {})
                for event in fresh:
                    seen = event.number
                    yield self._text(event.kind, event.number, event.data)
                if not fresh and not await _set_within(signal, ALIVE_SECONDS):
                    yield ": alive\n\n"
        finally:
            with self._lock:
                self._waiting.pop(signal, None)

    def _enter(self, signal: asyncio.Event, most: int) -> None:
        with self._lock:
            for oldest in list(self._waiting)[: max(0, len(self._waiting) + 1 - most)]:
                _rouse(oldest, self._waiting.pop(oldest))
            self._waiting[signal] = asyncio.get_running_loop()

    def _since(self, seen: int) -> tuple[bool, list[Event]]:
        """Whether events after ``seen`` were dropped, and the newest event of every key after ``seen``."""
        with self._lock:
            events = [event for event in self._events if event.number > seen]
            missed = self._last - seen > len(events)
        newest = {(event.kind, event.key): event for event in events}
        return missed, sorted(newest.values(), key=lambda event: event.number)

    def _position(self, after: str | None) -> int | None:
        boot, _, number = (after or "").partition("-")
        if boot != self._boot or not (number.isascii() and number.isdecimal() and len(number) < 16):
            return None
        return int(number) if int(number) <= self._last else None

    def _text(self, kind: str, number: int, data: Any) -> str:
        return f"id: {self._boot}-{number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"

    def _wake(self) -> None:
        with self._lock:
            waiting = list(self._waiting.items())
        for signal, loop in waiting:
            _rouse(signal, loop)


def _rouse(signal: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(signal.set)


async def _set_within(signal: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(signal.wait(), seconds)
    except TimeoutError:
        return False
    return True
