"""Every address of the studio against whatever could stand in its place, its form and its fields."""

from __future__ import annotations

import inspect
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.studio.conftest import Gate, Json, edit_form, edited, finished, picture_file, started
from undrift.studio import api
from undrift.studio.app import ROUTES
from undrift.studio.forms import Form
from undrift.studio.jobs import MOST_QUEUED
from undrift.studio.studio import Studio

FOLLOWED = "/api/events"
"""It has no end."""

PLACES = [
    "..",
    ".",
    "%2e%2e",
    "%00",
    "%ff",
    "*",
    "nul",
    "-p",
    "x" * 300,
    "a%0Ab",
    "~",
    "%f0%9f%8e%a9",
    "000000000000",
]

BODIES = [
    *(b"", b"null", b"[]", b"{}", b"{", b"\xff\xfe", b'"x"', b"NaN", b"1e999", b'{"a":' * 3000, b"[" * 100_000),
    *(b'{"name": "\\ud800"}', b'{"x": 1, "x": 2}', b'{"__proto__": {}}', b" " * 1000),
]

VALUES: list[Any] = [
    *(None, True, 0, -1, 2**31, 2**64, 10**400, 1.5, "", " ", "..", "../x", "/etc/passwd", "a\0b", "\x1b]0;x\x07"),
    *("x" * 5000, "0" * 12, "original", "head", "café 🎩", [], [[]], {}, {"name": "toy"}, {"name": []}, "AAAA", "!"),
    *({"name": "toy", "params": {"steps": 1e999}}, {"name": "toy", "dial": float("nan")}, {"name": "toy", "x": 1}),
    *({"name": "toy", "params": {"steps": value}} for value in (0, 10**30, "1", None, [1], True)),
]


def routes() -> list[Route]:
    return [route for route in ROUTES if isinstance(route, Route) and route.path != FOLLOWED]


def form_of(route: Route) -> type[Form] | None:
    """The form that an address takes."""
    written = inspect.getclosurevars(route.endpoint).nonlocals.get("kind")
    return written if isinstance(written, type) and issubclass(written, Form) else None


@pytest.fixture
def session(client: TestClient, caplog: pytest.LogCaptureFixture) -> Iterator[Json]:
    """The session ``cat`` of one edit; nothing that is asked of the studio may be an error of its own."""
    view = started(client)
    edited(client, view["head"])
    yield view
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def answered(response: Any, asked: object) -> None:
    """An answer that a page can show: a result, or one line that says why not."""
    assert response.status_code < 500 or response.status_code == 503, (asked, response.text)
    if response.status_code >= 400:
        said = response.json()["error"]
        assert said, asked
        assert "\n" not in said, asked
        assert not re.search(r"Traceback|unexpected [A-Z]|Error\b", said), (asked, said)


def filled(path: str, places: dict[str, str], other: str = "") -> str:
    """``path`` with its places filled in, ``other`` standing in for the last one if it is not empty."""
    names = re.findall(r"{(\w+)}", path)
    for name in names:
        path = path.replace(f"{{{name}}}", other if other and name == names[-1] else places.get(name, "x"))
    return path


@pytest.mark.slow
def test_what_is_no_name_and_what_is_no_form(client: TestClient, session: Json, tmp_path: Path) -> None:
    places: dict[str, str] = {
        "name": "cat",
        "kind": "zip",
        **dict.fromkeys(("turn", "first", "second"), str(session["head"])),
    }
    for route in routes():
        method = "POST" if "POST" in (route.methods or ()) else "GET"
        for place in PLACES if "{" in route.path else ():
            answered(client.request(method, filled(route.path, places, place), content=b"{}"), place)
        for body in BODIES if method == "POST" and not route.path.endswith("/remove") else ():
            answered(client.request(method, filled(route.path, places), content=body), body[:40])
    assert client.get("/api/sessions/cat").status_code == 200
    assert {path.name for path in tmp_path.iterdir()} == {"sessions"}


def right(form: type[Form], session: Json, upload: str) -> Json:
    """A form that could be taken."""
    head = session["head"]
    known = {
        **edit_form(head),
        "turn": head,
        "upload": upload,
        "name": "toy",
        "text": "make it blue",
        "source": "a",
        "target": "b",
        "paused": False,
        "brush": "AAAA",
        "anchor": "original",
    }
    return {name: known[name] for name, field in form.model_fields.items() if name in known and field.is_required()}


@pytest.mark.slow
def test_whatever_stands_in_a_field(client: TestClient, session: Json, studio: Studio, gate: Gate) -> None:
    gate.let(100_000)
    upload = client.post("/api/uploads", content=picture_file()).json()["id"]
    tried = 0
    for route in routes():
        form = form_of(route)
        for field in form.model_fields if form is not None else ():
            assert form is not None
            client.post("/api/queue", json={"paused": False})
            for value in VALUES:
                body = json.dumps({**right(form, session, upload), field: value})
                answered(client.post(filled(route.path, {"name": "cat"}), content=body), (route.path, field, value))
                tried += 1
    client.post("/api/queue", json={"paused": False})
    for job in client.get("/api/jobs").json()["jobs"]:
        assert "unexpected " not in finished(client, job)["error"]
    assert tried > 1000
    assert len(studio.folders.names()) <= MOST_QUEUED * len(VALUES)


def test_every_form_is_one_of_those_that_are_tried() -> None:
    tried = {form_of(route) for route in routes()} - {None}
    named = {kind for kind in vars(api).values() if isinstance(kind, type) and issubclass(kind, Form)}
    assert len(tried) >= 14
    assert tried == named
