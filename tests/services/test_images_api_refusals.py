"""Who is let in to the images API, and what it refuses of all that somebody may send: in a line, leaving nothing."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import openai
import pytest
from starlette.testclient import TestClient

from tests.services.images import CAT, KEY, hole
from undrift.services.images_api.app import EDITS, create_api
from undrift.session import engine
from undrift.studio import bodies
from undrift.studio.studio import Studio


def test_nobody_comes_in_without_the_key(client: openai.OpenAI) -> None:
    for key in ("wrong", KEY[:-1], KEY + "x"):
        with pytest.raises(openai.AuthenticationError, match="wrong or missing key"):
            client.with_options(api_key=key).models.list()
    client.models.list()


@pytest.mark.parametrize("sent", [None, "", "Bearer", "Bearer ", f"Basic {KEY}", KEY, "Bearer \xf0\x9f"])
def test_odd_keys(studio: Studio, sent: str | None) -> None:
    with TestClient(create_api(studio, key=KEY), base_url="http://127.0.0.1:7860") as program:
        headers = {} if sent is None else {b"authorization": sent.encode("latin-1")}
        for address in ("/v1/models", "/nothing", "/"):
            refused = program.get(address, headers=headers, follow_redirects=False)
            assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")


def test_a_key_of_other_letters_than_ascii(studio: Studio) -> None:
    key = "schlüssel-für-freunde"
    with TestClient(create_api(studio, key=key), base_url="http://127.0.0.1:7860") as program:
        for sent, status in ((key, 200), (key.replace("ü", "u"), 401)):
            headers = {b"authorization": f"Bearer {sent}".encode()}
            assert program.get("/v1/models", headers=headers).status_code == status


def test_pages_of_other_sites_are_refused(plain: TestClient) -> None:
    files, data = {"image": CAT}, {"prompt": "a dog"}
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        refused = plain.post(EDITS, files=files, data=data, headers=headers)
        assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")
    assert plain.get("/v1/models", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert plain.get("/v1/models", headers={"host": "evil.example"}).status_code == 421


def test_what_cannot_be_done_is_told_as_such(plain: TestClient) -> None:
    """Not as a fault of the server, though it is found out when the turn is made."""
    asked = {"prompt": "a dog", "n": "2", "method": "no_edit"}
    refused = plain.post(EDITS, files={"image": CAT}, data=asked)
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "would all be one picture" in refused.json()["error"]["message"]


def test_who_waits_when_the_server_ends_is_told(plain: TestClient, studio: Studio) -> None:
    studio.events.close()
    refused = plain.post(EDITS, files={"image": CAT}, data={"prompt": "a dog"})
    assert (refused.status_code, refused.json()["error"]["message"]) == (503, "this server is being ended")


Files = dict[str, Any] | list[Any]


@pytest.mark.parametrize(
    ("files", "data", "status", "message"),
    [
        ({"image": CAT}, {}, 400, "'prompt': field required"),
        ({"image": CAT}, {"prompt": ""}, 400, "'prompt':"),
        ({"image": CAT}, {"prompt": "x" * 4001}, 400, "'prompt':"),
        ({"image": CAT}, {"prompt": "a\0dog"}, 400, "'prompt': it has the control character '\\x00', expected text"),
        (
            {"image": CAT},
            {"prompt": "a dog", "caption": "a \x1b[31mcat"},
            400,
            "'caption': it has the control character",
        ),
        ({"image": CAT, "n": b"3"}, {"prompt": "a dog"}, 400, "'n' is a file, expected a text"),
        ({"image": CAT, "mask": hole((0, 0, 4, 4))[:60]}, {"prompt": "a dog"}, 400, "'mask' is damaged or cut off"),
        ({"image": CAT}, {"prompt": "x" * 70_000}, 400, "part exceeded maximum size"),
        ({"mask": CAT}, {"prompt": "a dog"}, 400, "expected one image and at most one mask, not 0 and 1"),
        ([("image[]", CAT), ("image[]", CAT)], {"prompt": "a dog"}, 400, "not 2 and 0"),
        ([("image", CAT)] * 6, {"prompt": "a dog"}, 400, "too many files"),
        ({"image": b""}, {"prompt": "a dog"}, 400, "the picture is empty"),
        ({"image": b"GIF89a"}, {"prompt": "a dog"}, 400, "the picture"),
        ({"image": CAT[:200]}, {"prompt": "a dog"}, 400, "the picture"),
        ({"image": CAT, "mask": CAT}, {"prompt": "a dog"}, 400, "the mask has nothing transparent"),
        ({"image": CAT, "mask": hole((0, 0, 4, 4), (8, 8))}, {"prompt": "a dog"}, 400, "the mask is 8x8, expected"),
        ({"image": CAT, "mask": hole((0, 0, 0, 0))}, {"prompt": "a dog"}, 400, "the mask has nothing transparent"),
        ({"image": CAT}, {"prompt": "a dog", "size": "1024x1024"}, 400, "pictures keep theirs, 40x32"),
        ({"image": CAT}, {"prompt": "a dog", "n": "0"}, 400, "'n':"),
        ({"image": CAT}, {"prompt": "a dog", "n": "10"}, 400, "'n':"),
        ({"image": CAT}, {"prompt": "a dog", "response_format": "url"}, 400, "'response_format':"),
        ({"image": CAT}, {"prompt": "a dog", "output_format": "webp"}, 400, "'output_format':"),
        ({"image": CAT}, {"prompt": "a dog", "partial_images": "4"}, 400, "'partial_images':"),
        ({"image": CAT}, {"prompt": "a dog", "model": "gpt-image-9"}, 404, "no model 'gpt-image-9'"),
        ({"image": CAT}, {"prompt": "a dog", "method": "nothing"}, 400, "no method 'nothing'"),
        ({"image": CAT}, {"prompt": "a dog", "seed": "-1"}, 400, "'seed':"),
        ({"image": CAT}, {"prompt": "a dog", "dial": "nan"}, 400, "'dial':"),
        ({"image": CAT}, {"prompt": "a dog", "tool": "rm"}, 400, "'tool': extra inputs"),
        ({"image": CAT}, {"prompt": ["a dog", "a cat"]}, 400, "'prompt' is given twice"),
        ({"image": CAT}, {"prompt": "a dog", "session": "nothing"}, 404, "no session 'nothing'"),
        ({"image": CAT}, {"prompt": "a dog", "session": "../../etc"}, 404, "no session '../../etc'"),
        ({"image": CAT}, {"prompt": "a dog", "turn": "0" * 12}, 400, "send 'session' as well"),
        ({"image": CAT}, {"prompt": "make the horse red", "caption": "a cat"}, 400, "no 'the horse'"),
        ({"image": CAT}, {"prompt": "undo that", "caption": "a cat"}, 400, "nothing to undo"),
        ({}, {"prompt": "a dog", "image": "text"}, 415, "expected a form"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    plain: TestClient, studio: Studio, files: Files, data: dict[str, Any], status: int, message: str
) -> None:
    refused = plain.post(EDITS, files=files, data=data)
    error = refused.json()["error"]
    assert (refused.status_code, "\n" in error["message"]) == (status, False)
    assert message in error["message"].lower()
    assert studio.folders.names() == []


def test_bodies_that_are_no_forms(
    plain: TestClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as on the command line, where nothing else listens
    form = {"content-type": "multipart/form-data; boundary=x"}
    for body, headers, status in (
        (b"{}", {"content-type": "application/json"}, 415),
        (b"", {"content-type": "multipart/form-data"}, 400),
        (b"--x\r\n\r\nno name\r\n--x--", form, 400),
        (b"nothing of a form", form, 400),
        (b"-" * 1000, form, 400),
        (json.dumps({"prompt": "a dog"}).encode(), form, 400),
    ):
        refused = plain.post(EDITS, content=body, headers=headers)
        assert (refused.status_code, set(refused.json()["error"])) == (status, {"message", "type", "param", "code"})
    texts = b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff.\xff\r\n--x--\r\n'
    for encoding in ("punycode", "undefined", "idna", "rot13", "none of that name"):
        named = {"content-type": f"multipart/form-data; charset={encoding}; boundary=x"}
        assert plain.post(EDITS, content=texts, headers=named).status_code == 400, encoding
    huge = plain.post(EDITS, content=b"x", headers={**form, "content-length": str(10**12)})
    assert huge.status_code == 413
    assert plain.get(EDITS).status_code == 405
    assert plain.get("/v1/nothing").status_code == 404
    generating = plain.post("/v1/images/generations", json={"prompt": "a dog"})
    assert (generating.status_code, generating.json()["error"]["message"]) == (
        404,
        "POST '/v1/images/generations' is nothing here: POST /v1/images/edits or GET /v1/models",
    )
    assert plain.get("/v1/models/other").status_code == 404
    assert capfd.readouterr().err == ""


def form(**fields: str | bytes) -> bytes:
    """A form as programs write it, with the boundary ``x``; files are bytes."""
    parts = []
    for name, value in fields.items():
        called = f'name="{name}"' + ('; filename="a"' if isinstance(value, bytes) else "")
        data = value if isinstance(value, bytes) else value.encode()
        parts.append(f"--x\r\nContent-Disposition: form-data; {called}\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + b"--x--\r\n"


def test_a_form_that_was_cut_off_is_none(plain: TestClient, studio: Studio) -> None:
    """Its last part would be passed over without a word: a turn by another method, or of other words."""
    whole = form(image=CAT, prompt="a dog", method="no_edit")
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert plain.post(EDITS, content=whole[:-2], headers=headers).status_code == 200
    names = studio.folders.names()
    for kept in (len(whole) - 3, len(whole) - 6, len(whole) - 10, whole.index(b"a dog") + 3, 100):
        refused = plain.post(EDITS, content=whole[:kept], headers=headers)
        assert (refused.status_code, refused.json()["error"]["message"]) == (
            400,
            "not a form that can be read: it is cut off: its last line, the boundary between two '--', is missing",
        )
    assert studio.folders.names() == names


def test_more_programs_than_are_served_at_a_time_wait(
    client: openai.OpenAI, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request takes as long as its turn: refused would be who comes while others wait for theirs."""
    count = bodies.MOST_LARGE + 3
    begun, goes_on = threading.Event(), threading.Event()
    run_together = engine.run_together

    def waiting(*arguments: Any, **named: Any) -> Any:
        begun.set()
        assert goes_on.wait(60)
        return run_together(*arguments, **named)

    monkeypatch.setattr(engine, "run_together", waiting)
    made: list[str] = []

    def ask() -> None:
        answered = client.images.edit(image=CAT, prompt="a dog")
        made.append(answered.session)  # type: ignore[attr-defined]

    asking = [threading.Thread(target=ask) for _ in range(count)]
    for thread in asking:
        thread.start()
    assert begun.wait(60)
    assert [each.id for each in client.models.list()] == ["toy"], "whoever asks for less is answered"
    goes_on.set()
    for thread in asking:
        thread.join(60)
    assert sorted(made) == sorted(studio.folders.names())
    assert len(made) == count
