"""Runs coroutines in tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import anyio

Value = TypeVar("Value")


def run_async(function: Callable[[], Awaitable[Value]]) -> Value:
    """``anyio.run`` in a thread of its own: the browser's driver keeps a loop running in the one of the tests."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, function).result()
