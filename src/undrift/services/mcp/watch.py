"""Who waits for a piece of work: told how far it is, and asked whether it is still wanted."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Sequence
from typing import Any

from anyio import from_thread
from mcp.server.mcpserver import Context

from undrift.backbones.counter import Counter
from undrift.errors import Cancelled
from undrift.flow import Observer, Step, StepEnd

QUIET_SECONDS = 0.1
"""Progress within this time of the last told is not told."""


class Watch(Observer):
    """Nobody in particular: wants everything, and is told in vain."""

    def __init__(self) -> None:
        self._total, self._begun, self._counter = 0, 0, Counter()
        self._said, self._quiet_until = 0, 0.0
        self._phase = ""

    def check(self) -> None:
        """Raise ``Cancelled`` if nobody waits any more."""

    def tell(self, done: int, total: int, phase: str) -> None:
        """Take note that ``done`` of ``total`` network evaluations are made; it only grows."""

    def expect(self, evaluations: Sequence[int], counter: Counter) -> None:
        """Pieces of work of so many evaluations begin, which ``counter`` counts."""
        self._total, self._counter, self._begun = sum(evaluations), counter, counter.evaluations

    def begin(self, step: Step) -> None:
        self.check()
        self._phase = f"{'inverting' if step.inverting else 'sampling'}, step {step.index + 1} of {step.count}"

    def end(self, event: StepEnd) -> None:
        self.check()
        done = min(self._counter.evaluations - self._begun, self._total)
        if done > self._said and time.monotonic() >= self._quiet_until:
            self._said, self._quiet_until = done, time.monotonic() + QUIET_SECONDS
            self.tell(done, self._total, self._phase)


class CallWatch(Watch):
    """The client that called a tool, from the thread that the tool runs in.

    It is told by ``notifications/progress`` if it asked for that, and waits until it is gone or sends
    ``notifications/cancelled``.
    """

    def __init__(self, context: Context[Any, Any]) -> None:
        super().__init__()
        self._context = context

    def check(self) -> None:
        try:
            from_thread.check_cancelled()
        except asyncio.CancelledError:
            raise Cancelled("cancelled by the client") from None

    def tell(self, done: int, total: int, phase: str) -> None:
        try:
            from_thread.run(self._context.report_progress, done, total, phase)
        except (asyncio.CancelledError, concurrent.futures.CancelledError):
            raise Cancelled("cancelled by the client") from None
