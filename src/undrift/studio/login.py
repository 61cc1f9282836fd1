"""The login page of a studio that other machines can reach. It works without scripts."""

from __future__ import annotations

import re
from html import escape
from importlib.resources import files
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from undrift.studio import languages
from undrift.studio.http_errors import Refused
from undrift.studio.password import Door, cookie_name

_PAGE = files("undrift.studio").joinpath("static", "login.html")
_MARK = re.compile(r"\[\[([^\]]+)\]\]")


def show(request: Request) -> Response:
    """The form; straight to the page where nothing is to be entered."""
    return _form(request) if _door(request) else RedirectResponse("/", 303)


async def log_in(request: Request) -> Response:
    """Check the password and set the cookie."""
    door = _door(request)
    if door is None:
        return RedirectResponse("/", 303)
    text = (await request.body()).decode("utf-8", "replace")
    try:
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=4)
    except ValueError:
        return _form(request, 400, "this is not the login form: it has more than a password")
    try:
        token = door.log_in(fields.get("password", [""])[0])
    except Refused as error:
        return _form(request, error.status, str(error))
    response = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    response.set_cookie(cookie_name(request), token, httponly=True, samesite="strict", path="/", secure=secure)
    return response


async def log_out(request: Request) -> Response:
    """Forget the login."""
    door = _door(request)
    if door is not None:
        door.log_out(request)
    return RedirectResponse("/login", 303)


def _door(request: Request) -> Door | None:
    door: Door | None = request.app.state.door
    return door


def _form(request: Request, status: int = 200, message: str = "") -> Response:
    language = languages.preferred(request.headers.get("accept-language", ""))
    told = escape(languages.said(message, language))
    marks = {"language": language, "message": f'<p class="problem" role="alert">{told}</p>' if message else ""}

    def filled(mark: re.Match[str]) -> str:
        return marks[mark[1]] if mark[1] in marks else escape(languages.said(mark[1], language))

    return HTMLResponse(_MARK.sub(filled, _PAGE.read_text("utf-8")), status, {"vary": "accept-language"})
