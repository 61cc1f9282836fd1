"""What the addresses under /api read of a request, and how they are given a form."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from undrift.errors import Cancelled
from undrift.pictures import Check
from undrift.session.model import Turn
from undrift.session.store import Session
from undrift.studio.answers import JSONResponse
from undrift.studio.forms import F, parsed
from undrift.studio.http_errors import Refused
from undrift.studio.studio import Studio

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def studio_of(request: Request) -> Studio:
    """The studio that the application serves."""
    studio: Studio = request.app.state.studio
    return studio


def session_of(request: Request) -> Session:
    """The session that the address names."""
    return studio_of(request).folders.session(request.path_params["name"])


def turn_of(request: Request, session: Session, part: str = "turn") -> Turn:
    """The turn that the address names by its full id.

    Raises:
        Refused: no such turn (404).
    """
    turn = session.tree().turns.get(request.path_params[part])
    if turn is None:
        raise Refused(404, f"no turn {request.path_params[part][:20]!a} in this session")
    return turn


@asynccontextmanager
async def awaited(request: Request) -> AsyncIterator[Check]:
    """A check that raises once whoever sent ``request``, whose body is read, has gone."""
    gone = threading.Event()

    def check() -> None:
        if gone.is_set():
            raise Cancelled("whoever asked for this has gone")

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()

    task = asyncio.create_task(watch())
    try:
        yield check
    finally:
        task.cancel()


def takes(kind: type[F]) -> Callable[[Callable[[Request, F], Any]], Endpoint]:
    """An endpoint whose body is a form; the function runs in a thread and returns JSON."""

    def decorate(function: Callable[[Request, F], Any]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            form = parsed(kind, await request.body())
            return JSONResponse(await run_in_threadpool(function, request, form))

        endpoint.__name__ = function.__name__
        return endpoint

    return decorate


def takes_long(kind: type[F]) -> Callable[[Callable[[Request, F, Check], Any]], Endpoint]:
    """As ``takes``; the function is given a check that raises once whoever asked has gone."""

    def decorate(function: Callable[[Request, F, Check], Any]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            form = parsed(kind, await request.body())
            async with awaited(request) as check:
                return JSONResponse(await run_in_threadpool(function, request, form, check))

        endpoint.__name__ = function.__name__
        return endpoint

    return decorate
