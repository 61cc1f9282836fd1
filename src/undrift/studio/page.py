"""The page's HTML and the files that it asks for: all of them behind one version, so that each is asked for once.

The version is another one as soon as a file is: a page that is opened after that has the new files. The modules are
named in the HTML, so that a browser asks for all of them at once and not as it meets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from mimetypes import guess_type
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from undrift.files import sha256

STATIC = Path(str(files("undrift.studio").joinpath("static")))
FOREVER = "private, max-age=31536000, immutable"
"""What never changes behind its address."""

_APART = ("main.js", "theme.js")
"""The page's scripts that the HTML names itself."""


def show(request: Request) -> Response:
    """The page; which session it shows is behind the ``#`` and never reaches the server."""
    return Response(_html(_version()), media_type="text/html")


async def file(request: Request) -> Response:
    """A file of the page, from memory: there are many small ones.

    Raises:
        HTTPException: the page has no such file.
    """
    data, kind = _file(request.path_params["version"][:64], request.path_params["path"])
    return Response(data, media_type=kind, headers={"cache-control": FOREVER})


@lru_cache(maxsize=2)
def _html(version: str) -> str:
    modules = sorted(name for name in _files() if name.endswith(".js") and name not in _APART)
    preloads = "".join(f'<link rel="modulepreload" href="/static/{name}">\n' for name in modules)
    html = (STATIC / "index.html").read_text("utf-8").replace("<!-- modules -->\n", preloads)
    return html.replace("/static/", f"/static/v/{version}/")


@lru_cache(maxsize=256)
def _file(version: str, path: str) -> tuple[bytes, str]:
    if path not in (known := _files()):
        raise HTTPException(404)
    return known[path].read_bytes(), guess_type(path)[0] or "application/octet-stream"


def _files() -> Mapping[str, Path]:
    """The page's files by their paths."""
    return {file.relative_to(STATIC).as_posix(): file for file in sorted(STATIC.rglob("*.*"))}


def _version() -> str:
    states = ((name, file.stat()) for name, file in _files().items())
    return sha256("".join(f"{name} {at.st_mtime_ns} {at.st_size} " for name, at in states).encode())[:16]
