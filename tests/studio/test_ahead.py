"""Between two turns the studio computes half of the next one, and a job never waits for that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.studio.conftest import Json, edit_form, finished, shown, started, until
from tests.support.toy import ToyBackbone
from undrift.errors import Cancelled
from undrift.session.ahead import Ahead
from undrift.studio.app import create_app
from undrift.studio.events import EventLog
from undrift.studio.job import About
from undrift.studio.jobs import JobQueue
from undrift.studio.studio import Studio

FLOWEDIT = {"name": "flowedit", "params": {"steps": 4, "n_max": 3}}


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """A studio that looks ahead, with a model of its own."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    return Studio(ToyBackbone(), folder, looks_ahead=True)


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    with TestClient(create_app(studio), base_url="http://127.0.0.1:7860") as opened:
        yield opened


def edited(client: TestClient, parent: str, prompt: str) -> Json:
    """The newest turn, once it is there."""
    form = edit_form(parent, prompt, method=FLOWEDIT, seed=None)
    job = finished(client, client.post("/api/sessions/cat/edit", json=form).json())
    assert job["state"] == "done", job
    return next(turn for turn in shown(client)["turns"] if turn["id"] == job["turns"][0])


def quiet(studio: Studio) -> None:
    """Wait until nothing is left to prepare."""
    until(lambda: (studio._ahead.due, studio.jobs.working), lambda seen: seen == (False, False))


def test_the_next_turn_finds_half_of_itself_done(studio: Studio, client: TestClient) -> None:
    first = edited(client, started(client)["turns"][0]["id"], "a blue cat")
    quiet(studio)
    second = edited(client, first["id"], "a green cat")
    assert (first["evaluations"], second["evaluations"]) == (6, 6)
    assert "remembered" not in first, "it was not known that this method would be taken"
    assert second["remembered"] == 3
    client.post("/api/sessions/cat/head", json={"step": "undo", "turn": second["id"]})
    quiet(studio)
    assert studio.backbone.memory is not None
    held = studio.backbone.memory.held
    assert 0 < held <= studio.backbone.memory.budget
    studio.stop()
    assert studio.backbone.memory is None, "a model that goes on elsewhere takes nothing along"


def test_without_looking_ahead_nothing_is_computed(tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir()
    studio = Studio(ToyBackbone(), folder)
    with TestClient(create_app(studio), base_url="http://127.0.0.1:7860") as client:
        edited(client, started(client)["turns"][0]["id"], "a blue cat")
        quiet(studio)
        assert (studio.backbone.counter.evaluations, studio.backbone.memory) == (6, None)


class Endless(Ahead):
    """Has always something to do, until somebody wants the model."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.stopped = threading.Semaphore(0), 0

    @property
    def due(self) -> bool:
        return True

    def work(self, check: Callable[[], None]) -> None:
        self.begun.release()
        with suppress(Cancelled):
            while True:
                check()
        self.stopped += 1


@pytest.mark.parametrize("paused", [False, True])
def test_a_job_that_comes_stops_it_and_so_does_the_end(paused: bool) -> None:
    ahead, ran = Endless(), threading.Event()
    queue = JobQueue(EventLog(), repr, ahead)
    queue.start()
    assert ahead.begun.acquire(timeout=20)
    assert queue.working
    queue.pause(paused)
    queue.submit(About("edit", "cat", "one", ""), lambda running: ran.set())
    if paused:
        assert ahead.stopped == 0, "a job that must wait wants nothing"
        queue.pause(False)
    assert ran.wait(20)
    assert ahead.begun.acquire(timeout=20), "and then it goes on"
    queue.stop(20)
    assert not queue.working
    assert ahead.stopped == 2
