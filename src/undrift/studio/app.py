"""The studio as an ASGI application: every address it answers, in one table."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from undrift.errors import UndriftError
from undrift.studio import api, downloads, login, page, uploads
from undrift.studio.answers import JSONResponse
from undrift.studio.guard import Guard
from undrift.studio.http_errors import status_of
from undrift.studio.kept_queue import KeptQueue
from undrift.studio.page import STATIC
from undrift.studio.password import Door
from undrift.studio.selecting import Sights
from undrift.studio.studio import Studio

log = logging.getLogger(__name__)

UPLOADS = "/api/uploads"
ARCHIVES = "/api/archives"
MAX_ARCHIVE = 256 * 2**20
"""Bytes of a session's zip file: latents are most of it."""


def create_app(studio: Studio, host: str = "127.0.0.1", password: str | None = None) -> ASGIApp:
    """The application, guarded. The studio works from startup to shutdown.

    Args:
        studio: what it serves.
        host: the address that it listens on; see ``Guard``.
        password: what pages have to log in with; None for none.
    """
    door = Door(password) if password else None

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        queue = KeptQueue(studio)
        queue.resume()
        studio.start()
        yield
        studio.stop()
        queue.close()

    handlers: dict[type[Exception] | int, Callable[..., Response]] = {
        ClientDisconnect: _gone,
        UndriftError: _refused,
        HTTPException: _http_error,
        Exception: _unexpected,
    }
    app = Starlette(routes=ROUTES, exception_handlers=handlers, lifespan=lifespan)
    app.state.studio, app.state.door, app.state.sights = studio, door, Sights()
    return Guard(app, host, door, {UPLOADS: uploads.MAX_BYTES, ARCHIVES: MAX_ARCHIVE, "/login": 4096})


def _refused(request: Request, error: UndriftError) -> Response:
    return JSONResponse({"error": " ".join(str(error).split())}, status_of(error))


def _http_error(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail.lower()}, error.status_code, error.headers)


def _gone(request: Request, error: ClientDisconnect) -> Response:
    """Nobody is there any more to read an answer (nginx's status for that)."""
    return Response(status_code=499)


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("a request failed: %s", request.url.path, exc_info=error)
    return JSONResponse({"error": request.app.state.studio.describe(error)}, 500)


class Static(StaticFiles):
    """Files of the page, asked for anew each time: they are small, and a new version must show at once."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["cache-control"] = "no-cache"
        return response


_SESSION = "/api/sessions/{name}"
_TURN = _SESSION + "/turns/{turn}"

ROUTES = [
    Route("/", page.show),
    Route("/login", login.show, methods=["GET"]),
    Route("/login", login.log_in, methods=["POST"]),
    Route("/logout", login.log_out, methods=["POST"]),
    Route("/api/about", api.about),
    Route("/api/models", api.offered_models),
    Route("/api/models/download", api.download_model, methods=["POST"]),
    Route("/api/model", api.change_model, methods=["POST"]),
    Route("/api/events", api.events),
    Route("/api/diff", api.diff, methods=["POST"]),
    Route(UPLOADS, api.upload, methods=["POST"]),
    Route(UPLOADS + "/{key}/preview", api.upload_preview),
    Route(ARCHIVES, api.archive, methods=["POST"]),
    Route("/api/example", api.example, methods=["POST"]),
    Route("/api/jobs", api.jobs),
    Route("/api/queue", api.pause, methods=["POST"]),
    Route("/api/jobs/{job}/sooner", api.sooner, methods=["POST"]),
    Route("/api/jobs/{job}/cancel", api.cancel, methods=["POST"]),
    Route("/api/jobs/{job}/preview", api.job_preview),
    Route("/api/sessions", api.sessions, methods=["GET"]),
    Route("/api/sessions", api.start, methods=["POST"]),
    Route(_SESSION, api.session),
    Route(_SESSION + "/say", api.say, methods=["POST"]),
    Route(_SESSION + "/edit", api.edit, methods=["POST"]),
    Route(_SESSION + "/rebase", api.rebase, methods=["POST"]),
    Route(_SESSION + "/restore", api.restore, methods=["POST"]),
    Route(_SESSION + "/import", api.bring_in, methods=["POST"]),
    Route(_SESSION + "/repeat", api.repeat, methods=["POST"]),
    Route(_SESSION + "/frame", api.frame, methods=["POST"]),
    Route(_SESSION + "/select", api.select, methods=["POST"]),
    Route(_SESSION + "/head", api.head, methods=["POST"]),
    Route(_SESSION + "/notes", api.note, methods=["POST"]),
    Route(_SESSION + "/rename", api.rename, methods=["POST"]),
    Route(_SESSION + "/remove", api.remove, methods=["POST"]),
    Route("/api/removed/{name}/bring-back", api.bring_back, methods=["POST"]),
    Route("/api/cost", api.cost, methods=["POST"]),
    Route(_SESSION + "/branches", api.branch, methods=["POST"]),
    Route(_SESSION + "/compare/{first}/{second}", api.compare),
    Route(_SESSION + "/heat/{first}/{second}", api.heat),
    Route(_SESSION + "/export/{kind}/{turn}", downloads.export),
    Route(_TURN + "/picture", api.picture),
    Route(_TURN + "/thumbnail", api.thumbnail),
    Route(_TURN + "/overlay", api.overlay),
    Route("/static/v/{version}/{path:path}", page.file),
    Mount("/static", Static(directory=STATIC)),
]
