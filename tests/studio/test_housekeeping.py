"""Sessions as a whole, and what is noted of turns: nothing is ever lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.studio.conftest import PATIENCE, Gate, Json, edit_form, edited, finished, shown, started
from undrift.studio import notes
from undrift.studio.studio import Studio


def note(client: TestClient, turn: Json, session: str = "cat", **values: object) -> None:
    answer = client.post(f"/api/sessions/{session}/notes", json={"turn": turn["id"], **values})
    assert answer.status_code == 200, answer.text


def listed(client: TestClient) -> tuple[list[str], list[str]]:
    """Names of the sessions, and of those that were removed."""
    answer = client.get("/api/sessions").json()
    return [card["name"] for card in answer["sessions"]], answer["removed"]


def test_what_is_noted_follows_the_session_and_not_the_turns(client: TestClient, studio: Studio) -> None:
    source = started(client)["turns"][0]
    turn = edited(client, source["id"])
    files = sorted(path for path in (studio.folders.root / "cat").rglob("*") if path.is_file())
    note(client, turn, name="  the good one ", starred=True)
    assert shown(client)["notes"] == {turn["id"]: {"name": "the good one", "starred": True}}
    assert sorted(path for path in (studio.folders.root / "cat").rglob("*") if path.is_file()) == files
    # The same picture with the same words has the same ids: notes are of one session all the same.
    started(client, "twin")
    assert shown(client, "twin")["notes"] == {}
    assert client.post("/api/sessions/cat/rename", json={"name": "a better name"}).json() == {"name": "a better name"}
    assert shown(client, "a better name")["notes"][turn["id"]]["name"] == "the good one"
    note(client, turn, "a better name")
    assert shown(client, "a better name")["notes"] == {}


@pytest.mark.parametrize("left", ["no JSON", '{"sessions": {"cat": {"not an id": {}}}}', '{"sessions": 3}'])
def test_notes_that_cannot_be_read_stop_nothing(client: TestClient, studio: Studio, left: str) -> None:
    source = started(client)["turns"][0]
    (studio.folders.root / notes.FILE).write_text(left, "utf-8")
    assert shown(client)["notes"] == {}
    note(client, source, starred=True)
    assert shown(client)["notes"][source["id"]]["starred"]


def test_a_removed_session_is_out_of_the_list_and_comes_back_whole(client: TestClient, studio: Studio) -> None:
    before = started(client)
    note(client, before["turns"][0], starred=True)
    assert client.post("/api/sessions/cat/remove").status_code == 200
    assert listed(client) == ([], ["cat"])
    assert client.get("/api/sessions/cat").status_code == 404
    # Another one of its name can be made and removed, and both come back, each with its own notes.
    assert started(client)["notes"] == {}
    assert client.post("/api/sessions/cat/remove").status_code == 200
    assert listed(client) == ([], ["cat", "cat-2"])
    assert client.post("/api/removed/cat/bring-back").json() == {"name": "cat"}
    started(client, "cat-2")
    assert client.post("/api/removed/cat-2/bring-back").json() == {"name": "cat-2-2"}
    assert listed(client)[1] == []
    assert shown(client)["turns"] == before["turns"]
    assert shown(client)["notes"] == {before["turns"][0]["id"]: {"name": "", "starred": True}}
    assert shown(client, "cat-2-2")["notes"] == {}
    edited(client, before["turns"][0]["id"])


def test_what_is_worked_on_stays_where_it_is(client: TestClient, studio: Studio, gate: Gate) -> None:
    source = started(client)["turns"][0]
    form = edit_form(source["id"], method={"name": "gated"})
    job = client.post("/api/sessions/cat/edit", json=form).json()
    assert gate.reached.wait(PATIENCE)
    for address, body in {"remove": None, "rename": {"name": "dog"}}.items():
        answer = client.post(f"/api/sessions/cat/{address}", json=body)
        assert answer.status_code == 409
        assert answer.json()["error"] == "a turn of 'cat' is on its way: cancel it, or wait until it is there"
    gate.let(10)
    assert finished(client, job)["state"] == "done"
    assert client.post("/api/sessions/cat/rename", json={"name": "dog"}).status_code == 200


@pytest.mark.parametrize(
    ("name", "status"), [("../dog", 400), ("", 400), ("twin", 409), (".undrift-removed", 400), ("con", 400)]
)
def test_a_name_that_a_session_cannot_have(client: TestClient, studio: Studio, name: str, status: int) -> None:
    started(client)
    started(client, "twin")
    answer = client.post("/api/sessions/cat/rename", json={"name": name})
    assert answer.status_code == status, answer.text
    assert sorted(listed(client)[0]) == ["cat", "twin"]


@pytest.mark.parametrize("name", ["..", "nobody", "link", "%2e%2e%2fcat"])
def test_only_what_was_removed_comes_back(client: TestClient, studio: Studio, name: str, tmp_path: Path) -> None:
    started(client)
    outside = tmp_path / "outside"
    (studio.folders.root / "cat").rename(outside)
    (studio.folders.root / ".undrift-removed").mkdir()
    (studio.folders.root / ".undrift-removed" / "link").symlink_to(outside)
    assert client.post(f"/api/removed/{name}/bring-back").status_code == 404
    assert listed(client) == ([], [])


def test_the_cost_of_a_turn_is_told_before_it_is_made(client: TestClient) -> None:
    assert client.post("/api/cost", json={"name": "toy"}).json() == {"evaluations": 4}
    steps = client.post("/api/cost", json={"name": "toy", "params": {"steps": 7}}).json()["evaluations"]
    assert steps != 4
    source = started(client)["turns"][0]
    turn = edited(client, source["id"], method={"name": "toy", "params": {"steps": 7}})
    assert turn["evaluations"] == steps
