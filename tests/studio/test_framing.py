"""A session with a part of a picture, or with more around it."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.studio.conftest import Json, edited, finished, shown, started
from tests.support.toy import toy_picture
from undrift.methods import registry
from undrift.session.canvas import Frame, framed
from undrift.studio.studio import Studio


def test_a_turn_is_framed_in_a_session_of_its_own(client: TestClient, studio: Studio) -> None:
    turn = edited(client, started(client)["head"])
    form = {"turn": turn["id"], "left": -8, "top": 4, "width": 40, "height": 24}
    job = finished(client, client.post("/api/sessions/cat/frame", json=form).json())
    assert (job["state"], job["session"]) == ("done", "cat-40x24")
    session = studio.folders.session("cat")
    expected = framed(session.picture(session.head), Frame(-8, 4, 40, 24))
    made = studio.folders.session("cat-40x24")
    assert made.picture(made.original).tobytes() == expected.tobytes()
    assert made.original.prompt == turn["prompt"]
    assert len(shown(client)["turns"]) == 2


def test_what_a_frame_has_more_is_filled_in_the_same_action(client: TestClient, studio: Studio) -> None:
    turn = started(client)["head"]
    form = {"turn": turn, "left": -11, "top": 0, "width": 51, "height": 32, "fill": True, "prompt": "a dog"}
    job = finished(client, client.post("/api/sessions/cat/frame", json=form).json())
    assert (job["state"], job["session"], job["title"]) == ("done", "cat-51x32", "frame of cat: 51 by 32 pixels")
    method = registry.get("repaint")
    assert job["evaluations"] == job["total"] == method.cost(studio.backbone).evaluations
    made = studio.folders.session("cat-51x32")
    assert [each.kind for each in made.turns()] == ["original", "edit"]
    assert made.head.spec is not None
    assert (made.head.spec.method, made.head.prompt) == ("repaint", "a dog")
    own = made.picture(made.head).crop((11, 0, 51, 32))
    assert own.tobytes() == toy_picture().tobytes()
    assert job["turns"] == [each.id for each in made.turns()]


def test_a_frame_that_cannot_be_is_refused_before_anything_is_made(client: TestClient, studio: Studio) -> None:
    source = started(client)["head"]
    cases: list[tuple[Json, str]] = [
        ({"left": 40}, "the frame has nothing of the picture"),
        ({"width": 9000, "height": 9000}, "at most 24 megapixels"),
        ({"width": 2**40}, "width: input should be less than or equal to"),
        ({"turn": "0" * 12}, "no turn"),
        ({"fill": True}, "there is nothing to fill"),
        ({"fill": True, "left": -5, "prompt": " "}, "nothing says what the extended picture shows"),
    ]
    for change, message in cases:
        form = {"turn": source, "left": 0, "top": 0, "width": 20, "height": 20, **change}
        answer = client.post("/api/sessions/cat/frame", json=form)
        assert answer.status_code in (400, 422)
        assert message in answer.json()["error"]
    assert studio.folders.names() == ["cat"]
