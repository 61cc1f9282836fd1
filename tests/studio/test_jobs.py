"""One model, many pages: jobs wait their turn, tell where they are, and stop when asked."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
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
from undrift.backbones.stopping import stoppable
from undrift.errors import Cancelled
from undrift.pictures import png_bytes, read_picture
from undrift.studio.events import KEPT, EventLog
from undrift.studio.job import About
from undrift.studio.job import Running as Work
from undrift.studio.jobs import ENDING, MOST_QUEUED
from undrift.studio.studio import Studio

GATED = {"name": "gated"}


def queued(client: TestClient, source: Json, prompt: str, **more: object) -> Json:
    """A gated edit, just asked for."""
    form = edit_form(source["id"], prompt, method=GATED, **more)
    job: Json = client.post("/api/sessions/cat/edit", json=form).json()
    return job


def test_jobs_run_in_order_and_know_their_place(client: TestClient, gate: Gate) -> None:
    source = started(client)["turns"][0]
    jobs = [queued(client, source, prompt, tab=prompt) for prompt in ("one", "two", "three")]
    gate.reached.wait(5)
    seen = [found(client, job["id"]) for job in jobs]
    assert [(job["state"], job["position"], job["tab"]) for job in seen] == [
        ("running", 0, "one"),
        ("queued", 1, "two"),
        ("queued", 2, "three"),
    ]
    gate.let(9)
    assert [finished(client, job)["state"] for job in jobs] == ["done"] * 3
    assert [turn["prompt"] for turn in shown(client)["turns"]] == ["a red cat", "one", "two", "three"]


def test_progress_counts_evaluations_and_shows_the_picture_so_far(client: TestClient, gate: Gate) -> None:
    source = started(client)["turns"][0]
    job = queued(client, source, "one")
    assert client.get(f"/api/jobs/{job['id']}/preview").status_code == 204
    gate.let(2)
    seen = until(lambda: found(client, job["id"]), lambda now: now["tiles"][0]["previews"] == 2)
    assert (seen["evaluations"], seen["total"], seen["phase"]) == (2, 3, "sampling, step 3 of 3")
    assert client.get(f"/api/jobs/{job['id']}/preview").content.startswith(b"\x89PNG")
    gate.let(1)
    assert finished(client, job)["evaluations"] == 3


@pytest.mark.parametrize("together", [False, True])
def test_every_candidate_has_a_tile_of_its_own(client: TestClient, gate: Gate, together: bool) -> None:
    source = started(client)["turns"][0]
    job = queued(client, source, "one", count=2, together=together)
    gate.let(2)
    second = (2, 3, None) if together else (0, 0, None)
    seen = until(lambda: found(client, job["id"]), lambda now: now["tiles"][1 if together else 0]["previews"] == 2)
    assert [(tile["step"], tile["steps"], tile["turn"]) for tile in seen["tiles"]] == [(2, 3, None), second]
    address = f"/api/jobs/{job['id']}/preview"
    looks = [client.get(address, params={"candidate": number}) for number in ("0", "1", "2", "x")]
    assert [look.status_code for look in looks] == [200, 200 if together else 204, 204, 204]
    assert looks[0].content != looks[1].content
    gate.let(8)
    over = finished(client, job)
    made = [turn["id"] for turn in shown(client)["turns"][1:]]
    assert [tile["turn"] for tile in over["tiles"]] == over["turns"] == made
    assert client.get(address).status_code == 204


def test_cancelling_stops_before_the_next_step_and_leaves_no_trace(client: TestClient, gate: Gate) -> None:
    source = started(client)["turns"][0]
    job = queued(client, source, "one")
    gate.reached.wait(5)
    client.post(f"/api/jobs/{job['id']}/cancel")
    gate.let(1)
    ended = finished(client, job)
    assert (ended["state"], ended["evaluations"], ended["turns"]) == ("cancelled", 0, [])
    assert [turn["prompt"] for turn in shown(client)["turns"]] == ["a red cat"]


def test_a_waiting_job_is_cancelled_at_once(client: TestClient, gate: Gate) -> None:
    source = started(client)["turns"][0]
    first, second, third = (queued(client, source, prompt) for prompt in ("one", "two", "three"))
    gate.reached.wait(5)
    assert client.post(f"/api/jobs/{second['id']}/cancel").json()["state"] == "cancelled"
    assert found(client, third["id"])["position"] == 1
    gate.let(6)
    assert finished(client, third)["state"] == "done"
    assert [turn["prompt"] for turn in shown(client)["turns"]] == ["a red cat", "one", "three"]
    assert first["state"] in ("queued", "running")


def test_cancelling_candidates_keeps_those_that_are_done(client: TestClient, gate: Gate) -> None:
    source = started(client)["turns"][0]
    job = queued(client, source, "one", count=3)
    gate.let(3)
    until(lambda: found(client, job["id"]), lambda now: now["item"] == 1)
    client.post(f"/api/jobs/{job['id']}/cancel")
    gate.let(9)
    ended = finished(client, job)
    assert (ended["state"], len(ended["turns"])) == ("cancelled", 1)
    assert shown(client)["head"] == ended["turns"][0]


def test_going_elsewhere_meanwhile_is_not_undone(client: TestClient, gate: Gate) -> None:
    source = started(client)["turns"][0]
    gate.let(3)
    first = finished(client, queued(client, source, "one"))["turns"][0]
    gate.reached.clear()
    job = queued(client, {"id": first}, "two")
    gate.reached.wait(5)
    client.post("/api/sessions/cat/head", json={"turn": source["id"]})
    gate.let(3)
    assert finished(client, job)["state"] == "done"
    assert shown(client)["head"] == source["id"]


def test_a_full_queue_says_so(client: TestClient, gate: Gate) -> None:
    source = started(client)["turns"][0]
    for _ in range(MOST_QUEUED + 1):
        queued(client, source, "one")
        gate.reached.wait(5)
    answer = client.post("/api/sessions/cat/edit", json=edit_form(source["id"]))
    assert answer.status_code == 429
    assert answer.json()["error"] == f"{MOST_QUEUED} jobs are waiting already: cancel some, or wait"
    for job in client.get("/api/jobs").json()["jobs"]:
        client.post(f"/api/jobs/{job['id']}/cancel")


def test_stopping_the_studio_stops_the_turn(studio: Studio, gate: Gate) -> None:
    from undrift.studio.app import create_app

    with TestClient(create_app(studio), base_url="http://127.0.0.1") as client:
        job = queued(client, started(client)["turns"][0], "one")
        assert gate.reached.wait(PATIENCE)
        cancelled = studio.jobs.job(job["id"]).cancelled

        def open_once_cancelled() -> None:
            """The step goes on when the studio stops, and not before: the turn must end at the next one."""
            assert cancelled.wait(PATIENCE)
            gate.let(1)

        opener = threading.Thread(target=open_once_cancelled)
        opener.start()
    opener.join()
    assert studio.jobs.job(job["id"]).state == "cancelled"
    assert studio.folders.session("cat").unfinished() == ()


def test_the_queue_is_paused_and_put_in_another_order(client: TestClient, studio: Studio, gate: Gate) -> None:
    source = started(client)["turns"][0]
    gate.let(100)
    assert client.post("/api/queue", json={"paused": True}).json() == {"paused": True}
    one, two = queued(client, source, "one"), queued(client, source, "two")
    three = queued(client, source, "three", after=two["id"])
    places = [job["position"] for job in (one, two, three)]
    assert places == [1, 2, 3]
    refused = client.post(f"/api/jobs/{three['id']}/sooner")
    assert (refused.status_code, refused.json()["error"]) == (409, "three: it has to come after two")
    assert client.post(f"/api/jobs/{two['id']}/sooner").json()["position"] == 1
    assert client.post(f"/api/jobs/{two['id']}/sooner").json()["position"] == 1, "it is the first already"
    assert client.post(f"/api/jobs/{three['id']}/sooner").json()["position"] == 2
    assert client.get("/api/jobs").json()["paused"] is True
    assert len(shown(client)["turns"]) == 1
    client.post("/api/queue", json={"paused": False})
    for job in (one, two, three):
        assert finished(client, job)["state"] == "done"
    assert [turn["prompt"] for turn in shown(client)["turns"][1:]] == ["two", "three", "one"]
    late = client.post(f"/api/jobs/{one['id']}/sooner")
    assert (late.status_code, late.json()["error"]) == (409, "one: it does not wait any more")


def test_a_cancelled_turn_is_over_at_once_and_the_next_one_waits_for_its_layer(
    client: TestClient, studio: Studio, gate: Gate
) -> None:
    source = started(client)["turns"][0]
    job = queued(client, source, "one")
    assert gate.reached.wait(PATIENCE)
    following = queued(client, source, "two")
    told = client.post(f"/api/jobs/{job['id']}/cancel").json()
    assert (told["state"], told["turns"], told["tiles"][0]["previews"]) == ("cancelled", [], 0)
    waiting = found(client, following["id"])
    assert (waiting["state"], waiting["position"], waiting["phase"]) == ("queued", 1, ENDING)
    # What it was working on is not taken away from under it.
    assert client.post("/api/sessions/cat/remove").status_code == 409
    gate.let(4)
    assert finished(client, following)["state"] == "done"
    assert found(client, job["id"])["state"] == "cancelled"
    assert [turn["prompt"] for turn in shown(client)["turns"]] == ["a red cat", "two"]


def test_a_turn_that_is_there_though_it_was_cancelled_is_done(client: TestClient, studio: Studio) -> None:
    made, let = threading.Event(), threading.Event()

    def work(running: Work) -> None:
        running.made("0" * 12)
        made.set()
        assert let.wait(PATIENCE)

    job = studio.jobs.submit(About("edit", "cat", "too late", "tab"), work)
    assert made.wait(PATIENCE)
    assert studio.jobs.cancel(job.id).state == "cancelled"
    let.set()
    assert until(lambda: found(client, job.id), lambda now: now["state"] != "cancelled")["state"] == "done"


def test_stopping_the_studio_does_not_wait_for_a_layer_that_goes_on(
    client: TestClient, studio: Studio, gate: Gate
) -> None:
    job = queued(client, started(client)["turns"][0], "one")
    assert gate.reached.wait(PATIENCE)
    client.post(f"/api/jobs/{job['id']}/cancel")
    studio.jobs.stop(patience=0.01)
    assert studio.jobs.working, "its step has not been let go"
    gate.let(1)
    until(lambda: studio.jobs.working, lambda at_work: not at_work)
    assert found(client, job["id"])["state"] == "cancelled"
    assert studio.folders.session("cat").unfinished() == ()


def in_a_loop(work: Coroutine[None, None, None]) -> None:
    """Run ``work`` in a thread: this one may have a loop already, a browser's."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def parsed(text: str) -> tuple[str, str, Json]:
    """Id, kind and data of an event."""
    fields = dict(line.split(": ", 1) for line in text.strip().splitlines())
    return fields["id"], fields["event"], json.loads(fields["data"])


async def some(stream: AsyncIterator[str], count: int) -> list[tuple[str, str, Json]]:
    """The next events."""
    return [parsed(await asyncio.wait_for(anext(stream), 5)) for _ in range(count)]


def test_a_page_that_comes_back_gets_what_it_missed() -> None:
    async def run() -> None:
        log = EventLog()
        ((start, kind, _),) = await some(log.stream(None), 1)
        assert kind == "hello"
        log.publish("job", "a", {"n": 1})
        log.publish("job", "b", {"n": 2})
        log.publish("job", "a", {"n": 3})
        # Of several events about one thing, the newest is enough.
        events = await some(log.stream(start), 3)
        assert [(kind, data) for _, kind, data in events] == [("hello", {}), ("job", {"n": 2}), ("job", {"n": 3})]
        last = events[-1][0]
        stream = log.stream(last)
        assert [kind for _, kind, _ in await some(stream, 1)] == ["hello"]
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        log.publish("session", "cat", {})
        assert parsed(await asyncio.wait_for(waiting, 5))[1] == "session"

    in_a_loop(run())


@pytest.mark.parametrize("last", ["deadbeef-3", "nonsense", "-", "deadbeef-99999999999999999999"])
def test_a_page_of_another_studio_starts_anew(last: str) -> None:
    async def run() -> None:
        log = EventLog()
        log.publish("job", "a", {})
        assert [kind for _, kind, _ in await some(log.stream(last), 1)] == ["reset"]

    in_a_loop(run())


def test_a_page_that_slept_too_long_starts_anew() -> None:
    async def run() -> None:
        log = EventLog()
        ((start, _, _),) = await some(log.stream(None), 1)
        for number in range(KEPT + 1):
            log.publish("job", str(number), {})
        events = await some(log.stream(start), 2)
        assert [kind for _, kind, _ in events] == ["hello", "reset"]
        assert events[1][0].endswith(f"-{KEPT + 1}")

    in_a_loop(run())


def test_closing_ends_every_stream() -> None:
    async def run() -> None:
        log = EventLog()
        stream = log.stream(None)
        await some(stream, 1)
        waiting = asyncio.ensure_future(anext(stream, "end"))
        await asyncio.sleep(0)
        log.close()
        while (last := await asyncio.wait_for(waiting, 5)) != "end":
            assert last == ": alive\n\n"
            waiting = asyncio.ensure_future(anext(stream, "end"))

    in_a_loop(run())


def test_a_job_is_stopped_while_its_picture_is_decoded(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    upload = client.post("/api/uploads", content=png_bytes(Image.fromarray(noise))).json()
    reached, go_on = threading.Event(), threading.Event()

    def decoding(*arguments: Any, **options: Any) -> Image.Image:
        reached.set()
        assert go_on.wait(PATIENCE)
        return read_picture(*arguments, **options)

    monkeypatch.setattr("undrift.studio.uploads.read_picture", decoding)
    job = client.post("/api/sessions", json={"upload": upload["id"], "prompt": "noise", "name": "noise"}).json()
    assert job["state"] in ("queued", "running"), "it answers before the picture is decoded"
    assert reached.wait(PATIENCE)
    assert found(client, job["id"])["phase"] == "reading the picture"
    client.post(f"/api/jobs/{job['id']}/cancel")
    go_on.set()
    assert finished(client, job)["state"] == "cancelled"
    assert not (studio.folders.root / "noise").exists()


def test_a_job_is_stopped_while_its_model_works(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that would go on for a minute, in layers, is stopped between two of them."""
    reached = threading.Event()
    layer = torch.nn.Linear(2, 2)

    def encode(pictures: Any) -> Any:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            layer(torch.zeros(2))
            reached.set()
        raise AssertionError("nobody stopped it")

    monkeypatch.setattr(studio.backbone, "encode", encode)
    upload = client.post("/api/uploads", content=picture_file()).json()
    job = client.post("/api/sessions", json={"upload": upload["id"], "prompt": "a cat", "name": "cat"}).json()
    assert reached.wait(PATIENCE)
    assert found(client, job["id"])["phase"] == "preparing it"
    client.post(f"/api/jobs/{job['id']}/cancel")
    assert finished(client, job)["state"] == "cancelled"
    assert not (studio.folders.root / "cat").exists()
    layer(torch.zeros(2))


def test_layers_of_other_threads_are_not_stopped() -> None:
    def stop() -> None:
        raise Cancelled("cancelled")

    layer, done = torch.nn.Linear(2, 2), []
    other = threading.Thread(target=lambda: done.append(layer(torch.zeros(2))))
    with stoppable(stop):
        other.start()
        other.join()
        with pytest.raises(Cancelled):
            layer(torch.zeros(2))
    assert len(done) == 1


@pytest.mark.parametrize("seed", [-1, 2**32, 10**40, 1.5, "x"])
def test_seeds_have_a_range(client: TestClient, seed: Any) -> None:
    source = started(client)["turns"][0]
    answer = client.post("/api/sessions/cat/edit", json=edit_form(source["id"], seed=seed))
    assert (answer.status_code, answer.json()["error"].split(": ")[1]) == (422, "seed")
    rebase = {"turn": source["id"], "method": {"name": "toy"}, "seed": seed}
    assert client.post("/api/sessions/cat/rebase", json=rebase).status_code == 422
    assert len(client.get("/api/jobs").json()["jobs"]) == 1
