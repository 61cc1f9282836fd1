"""A real server on this machine against those who say nothing, too little, too much or nonsense."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image, PngImagePlugin

from tests.studio.conftest import PATIENCE, picture_file, until
from tests.support.picture_files import saved
from undrift.studio import bodies, connections
from undrift.studio.server import listen, server_of
from undrift.studio.studio import Studio
from undrift.studio.uploads import MAX_BYTES

PASSWORD = "correct horse"


class Server:
    """A running studio and raw requests to it."""

    def __init__(self, serving: uvicorn.Server, listening: socket.socket) -> None:
        self.serving = serving
        self.listening = listening
        self.port = listening.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def head(self, line: str, *headers: str) -> bytes:
        named = any(header.lower().startswith("host:") for header in headers)
        lines = [f"{line} HTTP/1.1", *([] if named else [f"Host: {self.host}"]), *headers, "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def ask(self, line: str, *headers: str, body: bytes = b"") -> tuple[int, str]:
        """Status and body of the answer."""
        length = (f"Content-Length: {len(body)}",) if body else ()
        with self.connect() as opened:
            opened.sendall(self.head(line, *headers, *length, "Connection: close") + body)
            return answer(opened)


def answer(opened: socket.socket) -> tuple[int, str]:
    """Status and body of what comes until the connection ends; 0 for nothing."""
    parts = []
    while part := opened.recv(65536):
        parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body.decode()


def run(studio: Studio, password: str | None) -> Iterator[Server]:
    listening = listen("127.0.0.1", 0)
    serving = server_of(studio, "127.0.0.1", password)
    thread = threading.Thread(target=serving.run, args=([listening],))
    thread.start()
    until(lambda: serving.started, bool)
    yield Server(serving, listening)
    studio.events.close()
    serving.should_exit = True
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.fixture
def server(studio: Studio) -> Iterator[Server]:
    yield from run(studio, None)


@pytest.fixture
def locked(studio: Studio) -> Iterator[Server]:
    yield from run(studio, PASSWORD)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.slow
def test_idle_connections_lock_nobody_out(locked: Server, caplog: pytest.LogCaptureFixture) -> None:
    with ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(closing(locked.connect()))
        for _ in range(3):
            status, text = locked.ask("GET /login")
            assert (status, "password" in text) == (200, True)
        assert len(locked.serving.server_state.connections) <= connections.most()
    assert said(caplog) == []


@pytest.mark.slow
def test_those_who_began_a_body_make_room_too(locked: Server) -> None:
    with ExitStack() as stack:
        for _ in range(connections.most() + 20):
            opened = stack.enter_context(closing(locked.connect()))
            with suppress(ConnectionError):  # it has made room already
                opened.sendall(locked.head("POST /login", "Content-Length: 400") + b"password=")
        assert locked.ask("GET /login")[0] == 200


def test_those_who_ask_ahead_make_room_too(locked: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may ask for the login page's style, and could ask for it a million times before reading any of it."""
    monkeypatch.setattr(connections, "MOST", 8)
    with ExitStack() as stack:
        for _ in range(connections.MOST):
            stack.enter_context(closing(locked.connect())).sendall(locked.head("GET /static/base.css") * 2000)
        for _ in range(3):
            assert locked.ask("GET /login")[0] == 200


def test_those_who_take_no_answer_make_room_too(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 8)
    server.listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # what is not taken stays in the studio
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    upload = json.loads(server.ask("POST /api/uploads", body=saved(Image.fromarray(noise), "PNG"))[1])["id"]
    with ExitStack() as stack:
        for _ in range(connections.MOST):
            opened = stack.enter_context(closing(socket.socket()))
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            opened.connect(("127.0.0.1", server.port))
            opened.sendall(server.head(f"GET /api/uploads/{upload}/preview"))
        opened_here: set[Any] = server.serving.server_state.connections
        until(lambda: [each for each in opened_here if each.flow.write_paused], lambda held: len(held) == 8)
        for _ in range(3):
            assert server.ask("GET /api/about")[0] == 200


@pytest.mark.slow
def test_work_in_progress_is_not_ended_for_newcomers(server: Server) -> None:
    with server.connect() as follower:
        follower.sendall(server.head("GET /api/events"))
        assert b"200" in follower.recv(65536)
        with ExitStack() as stack:
            for _ in range(connections.most() + 20):
                stack.enter_context(closing(server.connect()))
            assert server.ask("GET /api/about")[0] == 200
            assert server.ask("POST /api/example", body=b"{}")[0] == 200
        follower.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ended(follower)


def test_pages_that_follow_what_happens_lock_nobody_out(
    server: Server, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are told; the oldest end, which a page notices, and comes back."""
    monkeypatch.setattr(connections, "MOST", 16)
    with ExitStack() as stack:
        followers = []
        for _ in range(40):
            followers.append(stack.enter_context(closing(server.connect())))
            followers[-1].sendall(server.head("GET /api/events"))
            assert b"event: hello" in received(followers[-1], b"hello")
            assert server.ask("GET /api/about")[0] == 200
        assert ended(followers[0])
        studio.events.publish("job", "x", {})
        for follower in followers[-8:]:
            assert b"event: job" in received(follower, b"event: job")


def received(opened: socket.socket, wanted: bytes) -> bytes:
    """What comes up to some of it, or to the end."""
    data = b""
    while wanted not in data and (part := opened.recv(65536)):
        data += part
    return data


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
def test_a_header_that_never_ends_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)
    with server.connect() as opened:
        with suppress(ConnectionError):  # on a busy machine it is given up before it began
            opened.sendall(sent)
        assert ended(opened)


@pytest.mark.slow
def test_a_second_header_that_never_ends_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 2.0)
    with server.connect() as opened:
        opened.sendall(server.head("GET /api/jobs"))
        assert b"200" in opened.recv(65536)
        with suppress(ConnectionError):
            opened.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert ended(opened)


def ended(opened: socket.socket) -> bool:
    """Whether the other side ends the connection before the test's patience does."""
    try:
        while opened.recv(65536):
            pass
    except ConnectionError:
        return True
    return True


def test_a_body_that_never_ends_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PAUSE_SECONDS", 0.2)
    with server.connect() as opened:
        opened.sendall(server.head("POST /api/diff", "Content-Length: 100", "Connection: close") + b'{"source": ')
        assert answer(opened) == (408, '{"error":"the rest of the request did not come"}')


def test_a_body_that_trickles_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every byte comes in time; all of them together do not."""
    monkeypatch.setattr(bodies, "PAUSE_SECONDS", 0.3)
    with server.connect() as opened:
        opened.sendall(server.head("POST /api/diff", "Content-Length: 1000000", "Connection: close"))
        opened.settimeout(0.05)
        for _ in range(int(PATIENCE / 0.05)):
            try:
                opened.sendall(b" ")
                received = opened.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            assert received.startswith(b"HTTP/1.1 408")
            break
        else:
            pytest.fail("it was taken for ever")


def test_aborted_uploads_print_nothing(
    server: Server, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for sent in (0, 10, 200_000):
        with server.connect() as opened:
            opened.sendall(server.head("POST /api/uploads", "Content-Length: 1000000") + bytes(sent))
    until(lambda: not server.serving.server_state.tasks, bool)
    assert server.ask("GET /api/about")[0] == 200
    assert said(caplog) == []
    assert capfd.readouterr().err == ""


def test_files_taken_at_a_time_are_few(server: Server) -> None:
    begun = server.head("POST /api/uploads", "Content-Length: 1000")
    with ExitStack() as stack:
        for _ in range(bodies.MOST_LARGE):
            stack.enter_context(closing(server.connect())).sendall(begun + b"x")
        until(lambda: len(server.serving.server_state.tasks), lambda count: count == bodies.MOST_LARGE)
        status, text = server.ask("POST /api/archives", body=b"x")
        assert (status, json.loads(text)["error"][:29]) == (429, "4 files are being taken alrea")
        assert server.ask("POST /api/example", body=b"{}")[0] == 200
    until(lambda: not server.serving.server_state.tasks, bool)
    assert server.ask("POST /api/uploads", body=picture_file())[0] == 200


def test_bodies_are_held_in_limited_memory(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_BYTES", 100_000)
    for _ in range(3):
        assert server.ask("POST /api/uploads", body=bytes(90_000))[0] == 400, "nothing is left of those before"
        assert server.ask("POST /api/uploads", body=bytes(110_000))[0] == 503


ORIGINS = [
    *("http://[", "http://[::1", "http://", "://", "null", "", "http://127.0.0.1:99999999", "http://127.0.0.1:x"),
    *("https://{host}", "ftp://{host}", "{host}", "http://{host}@evil.example", "http://evil.example#{host}"),
    *("http://{host}/path", "http://\xe9", "http://127.0.0.1"),
]


@pytest.mark.parametrize("origin", ORIGINS)
def test_origins_of_others_and_of_nobody_are_refused(server: Server, origin: str) -> None:
    status, text = server.ask("POST /api/example", "Origin: " + origin.format(host=server.host), body=b"{}")
    assert (status, json.loads(text)["error"]) == (403, "requests from other sites are refused")


def test_the_own_origin_is_not(server: Server) -> None:
    assert server.ask("POST /api/example", f"Origin: http://{server.host}", body=b"{}")[0] == 200
    assert server.ask("POST /api/example", f"Origin: HTTP://{server.host}", body=b"{}")[0] == 200


@pytest.mark.parametrize("host", ["127.0.0.1:x", "127.0.0.1:999999", "[::1", "a@127.0.0.1", "127.0.0.1/", "\xe9", ""])
def test_hosts_that_are_none(server: Server, host: str) -> None:
    assert server.ask("GET /api/about", f"Host: {host}")[0] in (400, 421)


@pytest.mark.parametrize(
    "form",
    [b"&".join([b"password=x"] * 9), b"a=1&b=2&c=3&d=4&e=5", b"\xff\xfe", b"%", b"password=%ff%00", b"=", b";;;;;;;"],
)
def test_login_forms_that_are_none(locked: Server, form: bytes) -> None:
    assert locked.ask("POST /login", body=form)[0] in (400, 403)


def test_only_the_login_page_is_open_whatever_the_address_looks_like(locked: Server) -> None:
    for path in (
        "/login%3F/../api/about",
        "/static/base.css%3F/../main.js",
        "/static/icon.svg%23/../main.js",
        "//login",
    ):
        status, text = locked.ask(f"GET {path}")
        assert status in (303, 401, 404), path
        assert "import" not in text


def test_addresses_and_headers_that_are_none(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    lines = [
        *(
            "GET /static/%00",
            "GET /static/" + "a" * 5000,
            "GET /%ff%fe",
            "GET /api/sessions/%00",
            "GET /api/sessions/%2e%2e",
        ),
        *("GET /api/sessions/" + "x" * 5000, "GET /api/uploads/%00/preview", "GET /api/jobs/%ff/preview"),
        *("GET /api/sessions/a/turns/%00/picture", "GET /api/sessions/a/export/zip/x", "GET http://[/api/about"),
        *(
            "BREW /api/about",
            "GET *",
            "POST /api/archives?name=%ff%00",
            "POST /api/archives?name=" + "%f0%9f%90%b6" * 99,
        ),
    ]
    for line in lines:
        assert 400 <= server.ask(line)[0] < 500, line
    for header in (
        "Cookie: undrift_x=\xff; ;=;",
        "Last-Event-ID: \xff-1",
        "Sec-Fetch-Site: \xe9",
        "Content-Length: 1e3",
    ):
        assert server.ask("GET /api/jobs", header)[0] in (200, 400, 403, 413), header
    with server.connect() as opened:
        opened.sendall(b"\x16\x03\x01\x02\x00 this is TLS\r\n\r\n")
        assert answer(opened)[0] == 400
    assert said(caplog) == []


def with_metadata(text: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("undrift", text)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "null", "{}", '{"prompt": NaN, "turns": []}', '{"prompt": "x", "turns": 3}', "[" * 90_000),
        '{"prompt": "x", "turns": [], "more": Infinity}',
        '{"prompt": "\\ud800", "turns": []}',
        '{"prompt": "x", "turns": [{"number": 1e999}]}',
        '{"prompt": {"a": 1}, "turns": [null]}',
    ],
)
def test_metadata_that_undrift_did_not_write(server: Server, text: str, caplog: pytest.LogCaptureFixture) -> None:
    status, answered = server.ask("POST /api/uploads", body=with_metadata(text))
    assert (status, "undrift metadata" in json.loads(answered)["error"]) == (400, True)
    assert said(caplog) == []


def test_a_large_picture_is_taken_once_and_let_go_when_nobody_waits(
    server: Server, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upload ends with its connection: the decoder hears of it."""
    begun, gone, outcomes = threading.Event(), threading.Event(), []
    add = studio.uploads.add

    def slow(data: bytes, prompt: str, check: object, called: str) -> object:
        begun.set()
        gone.wait(PATIENCE)
        try:
            return add(data, prompt, check, called)  # type: ignore[arg-type]
        except Exception as error:
            outcomes.append(type(error).__name__)
            raise

    monkeypatch.setattr(studio.uploads, "add", slow)
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), "PNG")
    assert len(data) < MAX_BYTES
    with server.connect() as opened:
        opened.sendall(server.head("POST /api/uploads", f"Content-Length: {len(data)}") + data)
        assert begun.wait(PATIENCE)
    until(lambda: len(server.serving.server_state.connections), lambda count: count == 0)
    server.ask("GET /api/jobs")  # one turn of the event loop
    gone.set()
    until(lambda: outcomes, bool)
    assert outcomes == ["Cancelled"]
