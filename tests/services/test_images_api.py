"""The images API with its official client over a socket, and with whatever else somebody may send."""

from __future__ import annotations

import base64
import io
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import openai
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.docs.samples import ROOT, samples
from tests.support.asynchronous import run_async
from tests.support.language_model import answer, scripted
from tests.support.toy import ToyMethod, toy_picture
from undrift.instructions import Reading
from undrift.instructions.chat_model import ChatModel
from undrift.pictures import png_bytes, read_metadata, read_picture
from undrift.services.images_api import app, turns
from undrift.services.images_api.app import EDITS, create_api
from undrift.services.images_api.turns import Started
from undrift.session import engine
from undrift.session.model import Turn
from undrift.session.provenance import recipe
from undrift.session.store import Session
from undrift.studio import server
from undrift.studio.job import About, Job
from undrift.studio.studio import Studio

KEY = "a-key-of-some-length"
CAT = png_bytes(toy_picture(40, 32))


@pytest.fixture
def client(studio: Studio) -> Iterator[openai.OpenAI]:
    """The official client, on a real server that wants a key."""
    listening = server.listen("127.0.0.1", 0)
    serving = server.server_of(studio, "127.0.0.1", KEY, create_api)
    thread = threading.Thread(target=serving.run, args=([listening],), daemon=True)
    thread.start()
    url = server.address(listening, "127.0.0.1")
    with openai.OpenAI(base_url=f"{url}v1", api_key=KEY, max_retries=0) as opened:
        yield opened
    serving.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def plain(studio: Studio) -> Iterator[TestClient]:
    """A program of one's own, without a key."""
    with TestClient(create_api(studio), base_url="http://127.0.0.1:7860", raise_server_exceptions=False) as opened:
        yield opened


def decoded(data: Any) -> bytes:
    return base64.b64decode(data.b64_json)


def hole(box: tuple[int, int, int, int], size: tuple[int, int] = (40, 32)) -> bytes:
    """A mask that is transparent in ``box``."""
    mask = Image.new("RGBA", size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), box)
    file = io.BytesIO()
    mask.save(file, "PNG")
    return file.getvalue()


def test_the_official_client_edits_a_picture_over_three_turns(client: openai.OpenAI, studio: Studio) -> None:
    assert [each.id for each in client.models.list()] == ["toy"]
    assert client.models.retrieve("toy").owned_by == "undrift"
    first = client.images.edit(
        image=("cat.png", CAT),
        prompt="make the cat blue",
        model="toy",
        size="auto",
        extra_body={"caption": "a red cat on a sofa", "seed": 1},
    )
    name = first.session  # type: ignore[attr-defined]
    assert first.data is not None
    assert first.data[0].revised_prompt == "a blue cat on a sofa"
    picture = decoded(first.data[0])
    for said in ("put a hat on the cat", "make the hat green"):
        more = client.images.edit(image=picture, prompt=said, extra_body={"session": name, "seed": 1})
        assert more.data is not None
        picture = decoded(more.data[0])
    session = studio.folders.session(name)
    path = session.path(session.head)
    assert [turn.prompt for turn in path] == [
        "a red cat on a sofa",
        "a blue cat on a sofa",
        "a blue cat wearing a hat on a sofa",
        "a blue cat wearing a green hat on a sofa",
    ]
    assert [turn.spec.instruction for turn in path[1:] if turn.spec] == [
        "make the cat blue",
        "put a hat on the cat",
        "make the hat green",
    ]
    assert session.contents(session.head, session.head.image) == picture
    assert read_metadata(picture)["prompt"] == session.head.prompt
    # An earlier picture goes on from its own turn, and a step back gives an earlier picture again.
    branch = client.images.edit(
        image=decoded(first.data[0]), prompt="a dog", extra_body={"session": name, "read_as": "caption"}
    )
    assert branch.data is not None
    assert session.turn(branch.data[0].turn).parent == path[1].id  # type: ignore[attr-defined]
    back = client.images.edit(image=picture, prompt="undo that", extra_body={"session": name})
    assert back.data is not None
    assert decoded(back.data[0]) == session.contents(path[2], path[2].image)
    assert session.head.id == path[2].id


def test_the_sample_of_the_page_runs(
    client: openai.OpenAI, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Word for word, but for where the server is and what its key is."""
    (code,) = [each.text for each in samples("python") if each.file == ROOT / "docs" / "images-api.md"]
    code = code.replace("http://127.0.0.1:7860/v1", str(client.base_url)).replace('"none"', repr(KEY))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples", target_is_directory=True)
    made: dict[str, Any] = {}
    exec(compile(code, "docs/images-api.md", "exec"), made)
    made["client"].close()
    (session,) = studio.folders.root.iterdir()
    prompts = [turn.prompt for turn in Session.open(session).turns()]
    assert prompts == [
        "a yellow dog next to a red cactus on a beach",
        "a blue dog next to a red cactus on a beach",
        "a blue dog wearing a red hat next to a red cactus on a beach",
    ]
    assert decoded(made["second"].data[0])[:4] == b"\x89PNG"


def test_a_mask_is_transparent_where_to_edit(client: openai.OpenAI) -> None:
    box = (8, 8, 24, 24)
    made = client.images.edit(
        image=CAT, mask=hole(box), prompt="a dog", extra_body={"method": "toy", "preset": "global", "seed": 3}
    )
    assert made.data is not None
    changed = np.asarray(read_picture(decoded(made.data[0]))) != np.asarray(read_picture(CAT))
    inside = np.zeros((32, 40), bool)
    inside[8:24, 8:24] = True
    assert changed[inside].any()
    assert not changed[~inside].any()


def test_several_candidates(client: openai.OpenAI, studio: Studio) -> None:
    made = client.images.edit(image=CAT, prompt="a dog", n=3)
    assert made.data is not None
    assert len({each.b64_json for each in made.data}) == 3
    session = studio.folders.session(made.session)  # type: ignore[attr-defined]
    assert [turn.parent for turn in session.turns()[1:]] == [session.original.id] * 3
    assert session.head.id == made.data[0].turn  # type: ignore[attr-defined]


def test_pictures_are_streamed_as_they_come(client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "LOOK_SECONDS", 0.001)
    with client.images.edit(
        image=CAT, prompt="a dog", stream=True, partial_images=2, extra_body={"method": "multi_turn"}
    ) as stream:
        events = list(stream)
    kinds = [event.type for event in events]
    assert kinds[-1] == "image_edit.completed"
    assert set(kinds[:-1]) <= {"image_edit.partial_image"}
    assert len(kinds) <= 3
    for event in events:
        assert read_picture(decoded(event)).size == (40, 32)
    assert [getattr(event, "partial_image_index", None) for event in events[:-1]] == list(range(len(events) - 1))


def test_a_failure_in_a_stream_is_told(
    client: openai.OpenAI, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the model broke")

    monkeypatch.setattr(engine, "run_together", broken)
    with pytest.raises(openai.APIError, match="the model broke"):
        list(client.images.edit(image=CAT, prompt="a dog", stream=True))
    with pytest.raises(openai.InternalServerError, match="the model broke"):
        client.images.edit(image=CAT, prompt="a dog")


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


def test_a_picture_painted_elsewhere_becomes_a_turn_of_its_own(client: openai.OpenAI, studio: Studio) -> None:
    made = client.images.edit(image=CAT, prompt="a dog", extra_body={"caption": "a cat"})
    name = made.session  # type: ignore[attr-defined]
    painted = png_bytes(Image.new("RGB", (40, 32), "teal"))
    client.images.edit(image=painted, prompt="add a hat", extra_body={"session": name})
    session = studio.folders.session(name)
    assert [turn.kind for turn in session.path(session.head)] == ["original", "edit", "import", "edit"]
    assert session.head.prompt == "a dog wearing a hat"


def test_what_a_picture_knows_of_itself_is_its_caption(plain: TestClient) -> None:
    known = png_bytes(toy_picture(40, 32), recipe("a red cat", "original", 0, None))
    made = plain.post(EDITS, files={"image": known}, data={"prompt": "make the cat blue"})
    assert made.json()["data"][0]["revised_prompt"] == "a blue cat"


def test_the_language_model_reads_where_there_is_one(plain: TestClient, studio: Studio) -> None:
    with scripted(answer(caption="a blue cat", kinds=["colour"])) as model:
        studio.language = ChatModel(model.url, "m")
        made = plain.post(EDITS, files={"image": CAT}, data={"prompt": "like the sea", "caption": "a red cat"}).json()
    spec = studio.folders.session(made["session"]).head.spec
    assert spec is not None
    assert spec.exchange is not None
    assert (made["kinds"], spec.exchange.model) == (["colour"], "m")


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


Files = dict[str, Any] | list[Any]


@pytest.mark.parametrize(
    ("files", "data", "status", "message"),
    [
        ({"image": CAT}, {}, 400, "'prompt': field required"),
        ({"image": CAT}, {"prompt": ""}, 400, "'prompt':"),
        ({"image": CAT}, {"prompt": "x" * 4001}, 400, "'prompt':"),
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


def test_a_picture_that_was_sent_from_here_is_known_without_decoding_others(
    plain: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = plain.post(EDITS, files={"image": CAT}, data={"prompt": "a dog", "caption": "a cat"}).json()
    decoded_turns: list[str] = []
    picture = Session.picture

    def counted(self: Session, turn: Turn) -> Image.Image:
        decoded_turns.append(turn.id)
        return picture(self, turn)

    def found(file: bytes) -> str | None:
        session = studio.folders.session(first["session"])
        turn = turns._shown(session, session.tree(), file, read_picture(file))
        return None if turn is None else turn.id

    monkeypatch.setattr(Session, "picture", counted)
    sent = base64.b64decode(first["data"][0]["b64_json"])
    assert (found(sent), decoded_turns) == (first["data"][0]["turn"], [])
    again = png_bytes(read_picture(sent), {"prompt": "saved by another program"})
    assert (found(again), decoded_turns) == (first["data"][0]["turn"], [first["data"][0]["turn"]])
    monkeypatch.setattr(turns, "MOST_COMPARED", 0)
    assert found(png_bytes(read_picture(CAT), {"prompt": "the original"})) is None


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


def test_an_editor_by_instructions_is_told_what_nobody_understood(
    plain: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyMethod, "follows_instructions", True)
    first = plain.post(EDITS, files={"image": CAT}, data={"prompt": "make it nicer", "caption": "a cat"}).json()
    more = {"prompt": "make it nicer still", "session": first["session"]}
    again = plain.post(EDITS, files={"image": base64.b64decode(first["data"][0]["b64_json"])}, data=more)
    assert again.status_code == 200, again.text
    session = studio.folders.session(first["session"])
    said = [turn.spec.instruction for turn in session.path(session.head)[1:] if turn.spec]
    assert said == ["make it nicer", "make it nicer still"]


def test_as_many_pictures_on_the_way_as_were_asked_for(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spread over the turn: of two, the first after a third of it and the second after two thirds."""
    job = Job("1", About("edit", "cat", "a dog", "api"), lambda running: None, state="running", total=90)
    started = Started("cat", Reading("a dog", "caption", (), "a cat", "a dog"), job)
    progress = iter((0, 29, 30, 59, 60, 61, 89))
    sent: list[int] = []

    async def goes_on(seconds: float) -> None:
        job.evaluations = next(progress, 90)
        job.tiles[0].preview = CAT
        if job.evaluations == 90:
            job.state = "cancelled"

    async def watch() -> None:
        stream = app._streamed(studio, started, 2)
        sent.extend([job.evaluations if "partial_image" in event else -1 async for event in stream])

    monkeypatch.setattr(anyio, "sleep", goes_on)
    run_async(watch)
    assert sent == [30, 60, -1]
