"""The images API with its official client over a socket, and with whatever else somebody may send."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import openai
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.docs.samples import ROOT, samples
from tests.services.images import CAT, KEY, decoded, hole
from tests.support.asynchronous import run_async
from tests.support.language_model import answer, scripted
from tests.support.toy import ToyMethod, toy_picture
from undrift.instructions import Reading
from undrift.instructions.chat_model import ChatModel
from undrift.pictures import png_bytes, read_metadata, read_picture
from undrift.services.images_api import app, turns
from undrift.services.images_api.app import EDITS
from undrift.services.images_api.turns import Started
from undrift.session import engine
from undrift.session.model import Turn
from undrift.session.provenance import recipe
from undrift.session.store import Session
from undrift.studio.job import About, Job
from undrift.studio.studio import Studio


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
