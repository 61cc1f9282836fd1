"""The turns of a session on another picture: what is made, what is refused before anything is, and what is left."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.studio.conftest import Gate, Json, edited, finished, picture_file, shown, started, until
from tests.studio.test_api import painted
from tests.support.toy import toy_picture
from undrift.session.replay import replay
from undrift.studio.studio import Studio


def held(client: TestClient, width: int = 24, height: int = 16) -> str:
    """The id of an uploaded picture."""
    return str(client.post("/api/uploads", content=picture_file(width, height)).json()["id"])


def asked(client: TestClient, turn: str, **more: object) -> Json:
    """The job of repeating the way to ``turn`` on an uploaded picture."""
    form = {"turn": turn, "upload": held(client), "prompt": "a red cat", "called": "other.png", **more}
    answer = client.post("/api/sessions/cat/repeat", json=form)
    assert answer.status_code == 200, answer.text
    job: Json = answer.json()
    return job


def test_the_turns_are_those_of_a_replay(client: TestClient, studio: Studio) -> None:
    source = started(client)["head"]
    turn = edited(client, edited(client, source)["id"], "a blue cat at night", seed=5)
    job = finished(client, asked(client, turn["id"], name="other"))
    assert (job["state"], job["session"], job["title"]) == ("done", "other", "the same turns on other.png")
    assert job["evaluations"] == job["total"] > 0
    made, session = studio.folders.session("other"), studio.folders.session("cat")
    folder = studio.folders.root / "by hand"
    expected = replay(
        session, folder, studio.backbone, image=toy_picture(24, 16), prompt="a red cat", turn=turn["id"]
    )
    assert [one.image_hash for one in made.turns()] == [one.image_hash for one in expected.turns()]
    assert [one.prompt for one in made.turns()] == ["a red cat", "a blue cat", "a blue cat at night"]


def test_what_is_said_of_another_picture_is_said_of_what_it_shows(client: TestClient, studio: Studio) -> None:
    source = started(client)["head"]
    turn = edited(client, source, "a blue cat")
    finished(client, asked(client, turn["id"], prompt="a red dog on a sofa"))
    assert studio.folders.session("cat-2").head.prompt == "a blue dog on a sofa"


def test_a_large_picture_is_scaled_where_that_was_chosen(client: TestClient) -> None:
    source = started(client)["head"]
    turn = edited(client, source)["id"]
    finished(client, asked(client, turn, upload=held(client, 80, 40), longest=40))
    assert (shown(client, "cat-2")["width"], shown(client, "cat-2")["height"]) == (40, 20)


def test_what_cannot_be_repeated_is_said_before_anything_is_made(client: TestClient, studio: Studio) -> None:
    source = started(client)["head"]
    only = painted(0, 0, 16, 16)
    drawn = edited(client, source, only=only)["id"]
    plain = edited(client, source, seed=2)["id"]
    cases = [
        ({"turn": drawn}, 400, "the picture is 24x16, expected 40x32 pixels"),
        ({"turn": plain, "prompt": "two birds in the sky"}, 400, "turn 1 cannot be made of a picture that shows"),
        ({"turn": plain, "upload": "gone"}, 404, "is not held any more"),
        ({"turn": "0" * 12}, 400, "no turn"),
    ]
    for change, status, message in cases:
        form = {"upload": held(client), "prompt": "a red cat", **change}
        answer = client.post("/api/sessions/cat/repeat", json=form)
        assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text
    assert studio.folders.names() == ["cat"]


def test_a_batch_is_a_session_for_each_picture(client: TestClient, studio: Studio) -> None:
    source = started(client)["head"]
    turn = edited(client, source)["id"]
    studio.jobs.pause(True)
    jobs = [asked(client, turn, name="batch") for _ in range(3)]
    studio.jobs.pause(False)
    assert [finished(client, job)["session"] for job in jobs] == ["batch", "batch-2", "batch-3"]
    assert len({studio.folders.session(job["session"]).head.image_hash for job in jobs}) == 1


def test_a_cancelled_one_keeps_the_turns_that_it_has_made(client: TestClient, studio: Studio, gate: Gate) -> None:
    source = started(client)["head"]
    first = edited(client, source)["id"]
    gate.let(3)
    second = edited(client, first, "a blue cat at night", method={"name": "gated"})["id"]
    gate.reached.clear()
    job = asked(client, second, name="half")
    until(lambda: gate.reached.is_set(), bool)
    client.post(f"/api/jobs/{job['id']}/cancel")
    gate.let(3)
    assert finished(client, job)["state"] == "cancelled"
    assert [turn["prompt"] for turn in shown(client, "half")["turns"]] == ["a red cat", "a blue cat"]
