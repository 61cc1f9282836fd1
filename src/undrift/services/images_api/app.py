"""The images API as an ASGI application, behind the studio's guard.

``POST /v1/images/edits`` makes a turn, ``GET /v1/models`` says what is served. Answers have the form that clients of
the API know; what undrift adds to it (``session``, ``turn``, ``kinds``) stands beside it.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from undrift.backbones.knowledge import unknown_note
from undrift.errors import UndriftError
from undrift.services.images_api.asked import MAX_BYTES, read
from undrift.services.images_api.turns import Started, start
from undrift.session.model import Turn
from undrift.studio.answers import JSONResponse
from undrift.studio.guard import Guard
from undrift.studio.http_errors import Refused, status_of
from undrift.studio.job import Job
from undrift.studio.studio import Studio

log = logging.getLogger(__name__)

EDITS = "/v1/images/edits"
KEY_VARIABLE = "UNDRIFT_KEY"
SHORTEST_KEY = 16
LOOK_SECONDS = 0.05
"""How often a job is looked at by whoever waits for it."""

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class Key:
    """Lets in who sends the key as a bearer token."""

    missing = "wrong or missing key: send it as 'Authorization: Bearer KEY'"

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def knows(self, request: Request) -> bool:
        """Whether ``request`` carries the key."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        sent = key.strip().encode("latin-1")  # the bytes as they came: headers are read as that
        return scheme.lower() == "bearer" and hmac.compare_digest(sent, self._key)


def create_api(studio: Studio, host: str = "127.0.0.1", key: str | None = None) -> ASGIApp:
    """The application, guarded. The studio works from startup to shutdown.

    Args:
        studio: the model, the folder of the sessions and the queue; pages may share it.
        host: the address that it listens on; see ``Guard``.
        key: what programs have to send; None for none.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        studio.start()
        yield
        studio.stop()

    handlers: dict[type[Exception] | int, Callable[..., Response]] = {
        ClientDisconnect: lambda request, error: Response(status_code=499),
        UndriftError: lambda request, error: error_answer(status_of(error), str(error)),
        HTTPException: _refused,
        Exception: _unexpected,
    }
    app = Starlette(routes=ROUTES, exception_handlers=handlers, lifespan=lifespan)
    app.state.studio = studio
    return Guard(app, host, Key(key) if key else None, {EDITS: MAX_BYTES}, "/", error_answer, waits=True)


def error_answer(status: int, message: str) -> Response:
    """An error as clients of the API read it."""
    return JSONResponse({"error": _problem(status, message)}, status)


def _problem(status: int, message: str) -> dict[str, Any]:
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"message": " ".join(message.split()), "type": kind, "param": None, "code": None}


def _refused(request: Request, error: Exception) -> Response:
    """What Starlette refuses; of an address that is none here, what there is."""
    assert isinstance(error, HTTPException)  # registered for these
    if error.status_code in (404, 405):
        asked = f"{request.method} {request.url.path[:80]!a}"
        return error_answer(error.status_code, f"{asked} is nothing here: POST {EDITS} or GET /v1/models")
    return error_answer(error.status_code, error.detail.lower())


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("a request failed: %s", request.url.path, exc_info=error)
    return error_answer(500, request.app.state.studio.describe(error))


def models(request: Request) -> Response:
    """What is served: one model."""
    return JSONResponse({"object": "list", "data": [_model(request.app.state.studio)]})


def model(request: Request) -> Response:
    """One model by its name."""
    served, name = _model(request.app.state.studio), request.path_params["name"]
    if name != served["id"]:
        raise Refused(404, f"no model {name[:80]!a}: {served['id']!a} is served")
    return JSONResponse(served)


def _model(studio: Studio) -> dict[str, Any]:
    return {"id": studio.backbone.identity.name, "object": "model", "created": 0, "owned_by": "undrift"}


async def edits(request: Request) -> Response:
    """Make a turn, or several candidates of one, and answer with the pictures."""
    studio: Studio = request.app.state.studio
    asked = await read(request)
    started = await run_in_threadpool(start, studio, asked)
    if asked.fields.stream:
        events = _streamed(studio, started, asked.fields.partial_images)
        return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-store"})
    await _finished(request, studio, started.job)
    return JSONResponse(await run_in_threadpool(_answer, studio, started))


async def _finished(request: Request, studio: Studio, job: Job | None) -> None:
    """Wait for a job; cancel it if nobody waits any more.

    Raises:
        Refused: it failed (500), cannot be done as asked (400), was cancelled (499), or the server ends (503).
    """
    try:
        while job is not None and job.open:
            _check_serving(studio)
            if await request.is_disconnected():
                raise Refused(499, "nobody waits for this any more")
            await anyio.sleep(LOOK_SECONDS)
    finally:
        _let_go(studio, job)
    _check(job)


def _let_go(studio: Studio, job: Job | None) -> None:
    if job is not None and job.open:
        studio.jobs.cancel(job.id)


def _check_serving(studio: Studio) -> None:
    if studio.events.closed:
        raise Refused(503, "this server is being ended")


def _check(job: Job | None) -> None:
    if job is not None and job.state != "done":
        status = 499 if job.state != "failed" else 400 if job.refused else 500
        raise Refused(status, job.error or "this was cancelled")


async def _streamed(studio: Studio, started: Started, partial: int) -> AsyncIterator[str]:
    """The pictures as they come: at most ``partial`` of what a turn looks like so far, then the whole ones."""
    job, sent = started.job, 0
    try:
        while job is not None and job.open:
            _check_serving(studio)
            preview = next((tile.preview for tile in job.tiles if tile.preview is not None), None)
            done = job.evaluations / max(1, job.total)
            if preview is not None and sent < partial and done >= (sent + 1) / (partial + 1):
                yield _event("partial_image", _picture(preview) | {"partial_image_index": sent})
                sent += 1
            await anyio.sleep(LOOK_SECONDS)
        _check(job)
        answer = await run_in_threadpool(_answer, studio, started)
        shared = {name: value for name, value in answer.items() if name != "data"}
        for data in answer["data"]:
            yield _event("completed", shared | _picture(base64.b64decode(data["b64_json"])) | data)
    except UndriftError as error:
        yield f"event: error\ndata: {json.dumps({'error': _problem(status_of(error), str(error))})}\n\n"
    finally:
        _let_go(studio, job)


def _event(kind: str, values: dict[str, Any]) -> str:
    name = f"image_edit.{kind}"
    return f"event: {name}\ndata: {json.dumps({'type': name, **values})}\n\n"


def _picture(data: bytes) -> dict[str, Any]:
    shape = {"background": "opaque", "output_format": "png", "quality": "auto", "size": "auto"}
    return {"b64_json": base64.b64encode(data).decode(), "created_at": int(time.time()), **shape}


def _answer(studio: Studio, started: Started) -> dict[str, Any]:
    session, reading = studio.folders.session(started.session), started.reading
    tree = session.tree()
    unknown = unknown_note(studio.backbone.capabilities, reading.target)
    made = [tree.turns[key] for key in started.job.turns] if started.job else [started.turn or tree.head]
    return {
        "created": int(time.time()),
        "background": "opaque",
        "output_format": "png",
        "size": f"{tree.original.width}x{tree.original.height}",
        "usage": {
            "input_tokens": 0,
            "output_tokens": 0,
            "total_tokens": 0,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        },
        "session": started.session,
        "read_as": reading.form,
        "kinds": list(reading.kinds),
        "note": "; ".join(filter(None, (reading.note, unknown))),
        "data": [_turn(turn, session.contents(turn, turn.image)) for turn in made],
    }


def _turn(turn: Turn, picture: bytes) -> dict[str, Any]:
    drift = turn.drift_original
    return {
        "b64_json": base64.b64encode(picture).decode(),
        "revised_prompt": turn.prompt,
        "turn": turn.id,
        "number": turn.number,
        "evaluations": turn.evaluations,
        "drift": None if drift is None else drift.model_dump(),
    }


ROUTES = [
    Route("/v1/models", models),
    Route("/v1/models/{name:path}", model),
    Route(EDITS, edits, methods=["POST"]),
]
