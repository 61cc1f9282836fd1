"""Who may ask: this machine's own pages and programs, and whoever knows the password."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from undrift.studio.app import create_app
from undrift.studio.guard import Guard
from undrift.studio.http_errors import Refused
from undrift.studio.password import ATTEMPTS, WINDOW_SECONDS, Door
from undrift.studio.studio import Studio

PASSWORD = "correct horse"


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "localhost", "[::1]:7860", "127.8.9.1"])
def test_this_machine_may_ask(client: TestClient, host: str) -> None:
    assert client.get("/api/about", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.7", "", "[::", "evil:7860"],
)
def test_a_rebound_name_may_not(client: TestClient, host: str) -> None:
    answer = client.get("/api/about", headers={"host": host})
    message = "this address is not this server's: call it by the one that it printed"
    assert (answer.status_code, answer.json()["error"]) == (421, message)


def test_listening_elsewhere_takes_addresses_and_its_own_name_only() -> None:
    guard = Guard(lambda *_: None, "studio.lan", None, {})  # type: ignore[arg-type]
    assert [guard._is_own(name) for name in ("192.168.1.7:80", "studio.lan", "localhost", "evil.example")] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_sites_may_change_nothing(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/api/example", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "requests from other sites are refused")


def test_other_sites_may_not_look_either(client: TestClient) -> None:
    assert client.get("/api/sessions", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"origin": "http://127.0.0.1:7860"}, {"sec-fetch-site": "same-origin"}])
def test_own_pages_and_programs_may(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/api/example", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/api/about", "/api/nothing", "/login"])
def test_every_answer_carries_the_policy(client: TestClient, path: str) -> None:
    headers = client.get(path, follow_redirects=False).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"]


@pytest.fixture
def locked(studio: Studio) -> Iterator[TestClient]:
    """A studio behind a password, asked from another machine."""
    app = create_app(studio, "0.0.0.0", PASSWORD)
    with TestClient(app, base_url="http://192.168.1.7:7860", follow_redirects=False) as opened:
        yield opened


def test_without_the_password_only_the_login_page_answers(locked: TestClient) -> None:
    assert locked.get("/").headers["location"] == "/login"
    assert locked.get("/static/main.js").headers["location"] == "/login"
    for path in ("/api/about", "/api/events", "/api/sessions"):
        answer = locked.get(path)
        assert (answer.status_code, answer.json()) == (401, {"error": "log in first"})
    assert "password" in locked.get("/login").text
    assert locked.get("/static/base.css").status_code == 200


@pytest.mark.parametrize(
    ("accepted", "language", "password", "wrong"),
    [
        ("", "en", "Password", "wrong password"),
        ("sv, de-AT;q=0.8, en;q=0.5", "de", "Passwort", "falsches Passwort"),
        ("en;q=0.3,fr-CA", "fr", "Mot de passe", "mot de passe incorrect"),
        ("de;q=nonsense,\x00,;;", "en", "Password", "wrong password"),
    ],
)
def test_the_login_page_speaks_the_language_of_the_browser(
    locked: TestClient, accepted: str, language: str, password: str, wrong: str
) -> None:
    headers = {"accept-language": accepted}
    page = locked.get("/login", headers=headers).text
    assert f'<html lang="{language}">' in page
    assert f'<label for="password">{password}</label>' in page
    assert "[[" not in page
    assert wrong in locked.post("/login", data={"password": "x"}, headers=headers).text


def test_the_password_opens_and_logging_out_closes(locked: TestClient) -> None:
    wrong = locked.post("/login", data={"password": "wrong"})
    assert (wrong.status_code, "wrong password" in wrong.text) == (403, True)
    right = locked.post("/login", data={"password": PASSWORD})
    assert (right.status_code, right.headers["location"]) == (303, "/")
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert PASSWORD not in cookie
    assert locked.get("/api/about").status_code == 200
    stolen = dict(locked.cookies)
    locked.post("/logout")
    locked.cookies.clear()
    locked.cookies.update(stolen)
    assert locked.get("/api/about").status_code == 401


def test_a_made_up_cookie_opens_nothing(locked: TestClient) -> None:
    for value in ("", "x", "undrift", "0" * 43):
        locked.cookies.set("undrift_7860", value)
        assert locked.get("/api/about").status_code == 401


def test_guessing_is_slowed_down_for_everyone_but_those_who_are_in() -> None:
    now = 1000.0
    door = Door(PASSWORD, lambda: now)
    for _ in range(ATTEMPTS):
        with pytest.raises(Refused, match=r"^wrong password$"):
            door.log_in("guess")
    with pytest.raises(Refused, match=r"^too many wrong passwords: try again in 60 s$") as refused:
        door.log_in(PASSWORD)
    assert refused.value.status == 429
    now += WINDOW_SECONDS
    assert len(door.log_in(PASSWORD)) >= 40


def test_two_logins_are_two_secrets() -> None:
    door = Door(PASSWORD)
    assert door.log_in(PASSWORD) != door.log_in(PASSWORD)
