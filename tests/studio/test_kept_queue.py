"""What waits outlives the studio: turns that follow turns not made yet, and a queue that goes on."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.studio.conftest import (
    PATIENCE,
    Gate,
    Json,
    edit_form,
    finished,
    found,
    picture_file,
    shown,
    started,
    until,
)
from undrift.backbones.base import Backbone
from undrift.studio import kept_queue
from undrift.studio.app import create_app
from undrift.studio.kept_queue import FILE, KeptQueue
from undrift.studio.studio import Studio

GATED = {"name": "gated"}


def ask(client: TestClient, parent: str, prompt: str, **more: Any) -> Json:
    answer = client.post("/api/sessions/cat/edit", json=edit_form(parent, prompt, **more))
    assert answer.status_code == 200, answer.text
    job: Json = answer.json()
    return job


def test_a_turn_follows_one_that_is_not_made_yet(client: TestClient, gate: Gate) -> None:
    source = started(client)["head"]
    first = ask(client, source, "a blue cat", method=GATED)
    second = ask(client, source, "a blue dog", method=GATED, after=first["id"])
    third = ask(client, source, "a blue dog at night", after=second["id"], count=1)
    assert (second["after"], second["prompt"], second["parent"]) == (first["id"], "a blue dog", source)
    gate.let(6)
    assert finished(client, third)["state"] == "done"
    turns = shown(client)["turns"]
    assert [turn["number"] for turn in turns] == [0, 1, 2, 3]
    assert [turn["parent"] for turn in turns[1:]] == [turn["id"] for turn in turns[:3]]
    assert turns[2]["spec"]["source_prompt"] == "a blue cat"
    assert shown(client)["head"] == turns[3]["id"]


def test_a_turn_that_would_follow_nothing_is_not_made(client: TestClient, gate: Gate) -> None:
    source = started(client)["head"]
    first = ask(client, source, "a blue cat", method=GATED)
    second = ask(client, source, "a blue dog", after=first["id"])
    assert gate.reached.wait(PATIENCE)
    client.post(f"/api/jobs/{first['id']}/cancel")
    gate.let(1)
    ended = finished(client, second)
    assert (ended["state"], ended["error"]) == (
        "failed",
        "the turn that this was to follow was not made: a blue cat",
    )
    late = client.post("/api/sessions/cat/edit", json=edit_form(source, after=first["id"]))
    assert (late.status_code, "was not made" in late.json()["error"]) == (400, True)
    assert len(shown(client)["turns"]) == 1


def test_a_turn_follows_none_of_another_session(client: TestClient, gate: Gate) -> None:
    source = started(client)["head"]
    other = started(client, "dog")["head"]
    first = ask(client, source, "a blue cat", method=GATED)
    refused = client.post("/api/sessions/dog/edit", json=edit_form(other, after=first["id"]))
    assert (refused.status_code, "expected one of 'dog'" in refused.json()["error"]) == (400, True)
    unknown = client.post("/api/sessions/dog/edit", json=edit_form(other, after="0" * 12))
    assert unknown.status_code == 404


@contextmanager
def served(backbone: Backbone, folder: Path) -> Iterator[tuple[TestClient, Studio]]:
    """A studio over ``folder``, from its start to its end."""
    studio = Studio(backbone, folder)
    with TestClient(create_app(studio), base_url="http://127.0.0.1:7860") as client:
        yield client, studio


def let_once_cancelled(studio: Studio, job: Json, gate: Gate) -> threading.Thread:
    """The step that waits goes on when the studio stops, and not before: its turn ends at the next one."""

    def let() -> None:
        assert studio.jobs.job(job["id"]).cancelled.wait(PATIENCE)
        gate.let(1)

    thread = threading.Thread(target=let)
    thread.start()
    return thread


def test_the_next_studio_goes_on_with_the_queue(studio: Studio, toy_backbone: Backbone, gate: Gate) -> None:
    folder = studio.folders.root
    with served(toy_backbone, folder) as (client, first):
        source = started(client)["head"]
        jobs = [ask(client, source, "a blue cat", method=GATED)]
        jobs.append(ask(client, source, "a blue dog", after=jobs[0]["id"]))
        jobs.append(ask(client, source, "a green cat", tab="t"))
        assert gate.reached.wait(PATIENCE)
        go_on = let_once_cancelled(first, jobs[0], gate)
    go_on.join()
    assert (folder / FILE).is_file()
    gate.let(3)
    with served(toy_backbone, folder) as (client, _):
        assert [finished(client, job)["state"] for job in jobs] == ["done"] * 3
        assert found(client, jobs[2]["id"])["tab"] == "t"
        turns = shown(client)["turns"]
        assert [turn["prompt"] for turn in turns[1:]] == ["a blue cat", "a blue dog", "a green cat"]
        assert turns[2]["parent"] == turns[1]["id"]
        until(lambda: (folder / FILE).exists(), lambda there: not there)


def test_what_cannot_go_on_is_told(studio: Studio, toy_backbone: Backbone, gate: Gate) -> None:
    folder = studio.folders.root
    with served(toy_backbone, folder) as (client, first):
        source = started(client)["head"]
        running = ask(client, source, "a blue cat", method=GATED)
        assert gate.reached.wait(PATIENCE)
        follower = ask(client, source, "a blue dog", after=running["id"])
        upload = client.post("/api/uploads", content=picture_file()).json()
        body = {"upload": upload["id"], "prompt": "a cat", "name": "later"}
        start = client.post("/api/sessions", json=body).json()
        independent = ask(client, source, "a green cat")
        crashed = (folder / FILE).read_bytes()
        go_on = let_once_cancelled(first, running, gate)
    go_on.join()
    (folder / FILE).write_bytes(crashed)  # as a process leaves it that was killed
    with served(toy_backbone, folder) as (client, _):
        assert finished(client, independent)["state"] == "done"
        dropped = [found(client, job["id"]) for job in (running, follower, start)]
        assert all((job["state"], job["dropped"]) == ("failed", True) for job in dropped)
        assert [job["error"].partition(":")[0] for job in dropped] == [
            "the studio ended while this was being made",
            "the turn that this was to follow was not made",
            "the studio was stopped before this began",
        ]


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", b'{"jobs": 3}', b'{"jobs": [{"id": "../x", "about": {}, "form": "", "begun": false}]}'],
)
def test_a_damaged_file_loses_nothing_else(
    studio: Studio, toy_backbone: Backbone, content: bytes, gate: Gate
) -> None:
    (studio.folders.root / FILE).write_bytes(content)
    with served(toy_backbone, studio.folders.root) as (client, _):
        assert client.get("/api/jobs").json()["jobs"] == []
        assert started(client)["turns"]


def test_only_one_studio_keeps_the_queue_of_a_folder(studio: Studio, toy_backbone: Backbone, gate: Gate) -> None:
    folder = studio.folders.root
    with served(toy_backbone, folder) as (client, _):
        source = started(client)["head"]
        waiting = ask(client, source, "a blue cat", method=GATED)
        assert gate.reached.wait(PATIENCE)
        with served(toy_backbone, folder) as (beside, _):
            assert beside.get("/api/jobs").json()["jobs"] == []
        assert (folder / FILE).is_file()
        gate.let(3)
        assert finished(client, waiting)["state"] == "done"


def test_the_region_of_an_earlier_turn_holds_again(client: TestClient, studio: Studio, gate: Gate) -> None:
    from tests.studio.test_api import painted

    source = started(client)["head"]
    made = finished(client, ask(client, source, "a blue cat", only=painted(0, 0, 16, 16)))["turns"][0]
    again = finished(client, ask(client, source, "a blue cat", like=made, seed=2))["turns"][0]
    plain = finished(client, ask(client, source, "a blue cat", seed=3))["turns"][0]
    session = studio.folders.session("cat")
    hashes = [session.turn(turn).region_hash for turn in (made, again, plain)]
    assert hashes[0] == hashes[1] is not None
    assert hashes[2] is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_queue_that_is_a_pipe_holds_nothing_up(studio: Studio) -> None:
    os.mkfifo(studio.folders.root / FILE)
    kept = KeptQueue(studio)
    kept.resume()
    kept.close()
    assert studio.jobs.listed() == []


def test_what_does_not_fit_into_the_queues_file_is_said(
    studio: Studio,
    toy_backbone: Backbone,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = studio.folders.root
    with served(toy_backbone, folder) as (client, first):
        source = started(client)["head"]
        jobs = [ask(client, source, "a blue cat", method=GATED), ask(client, source, "a green cat")]
        assert gate.reached.wait(PATIENCE)
        monkeypatch.setattr(kept_queue, "MOST_BYTES", (folder / FILE).stat().st_size + 20)
        jobs.append(ask(client, source, "a red cat"))
        assert "1 of 3 jobs would not go on after a stop" in caplog.text
        whole = (folder / FILE).read_bytes()
        go_on = let_once_cancelled(first, jobs[0], gate)
    go_on.join()
    assert jobs[1]["id"].encode() in whole
    assert jobs[2]["id"].encode() not in whole
    (folder / FILE).write_bytes(whole.ljust(kept_queue.MOST_BYTES + 1))
    with served(toy_backbone, folder) as (client, _):
        assert client.get("/api/jobs").json()["jobs"] == []
    assert f"the queue of an earlier studio is left out: {FILE} is larger than" in caplog.text


def test_a_folder_whose_name_is_no_text_is_served(toy_backbone: Backbone, tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"caf\xe9")
    root.mkdir()
    with TestClient(create_app(Studio(toy_backbone, root)), base_url="http://127.0.0.1:7860") as client:
        told = client.get("/api/about").json()["folder"]
        assert told.encode("utf-8", "surrogateescape") == os.fsencode(root)
        missing = client.get("/api/sessions/none")
        assert (missing.status_code, "no session 'none' in" in missing.json()["error"]) == (404, True)
