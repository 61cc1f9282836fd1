"""Changing the model of a running studio: in its place among the turns, and never to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.studio.conftest import PATIENCE, Gate, Json, edit_form, edited, finished, shown, started
from tests.support.hub import Hub, served
from tests.support.tiny_flux import save_tiny_flux
from tests.support.toy import ToyBackbone
from undrift.backbones.base import Backbone
from undrift.errors import ModelError
from undrift.studio.models import turn_memory
from undrift.studio.studio import Studio

OTHER = "littleworld-sd"
SMALL = "someone/tiny-flux"


class OtherToy(ToyBackbone):
    """The toy under the name of a model that is always on this machine."""

    def __init__(self) -> None:
        super().__init__()
        self.identity = replace(self.identity, name=OTHER)


@pytest.fixture
def loading(studio: Studio) -> None:
    """The studio can load the other toy."""

    def load(name: str) -> Backbone:
        assert name == OTHER
        return OtherToy()

    studio.load = load


def asked(client: TestClient, name: str) -> Json:
    job: Json = client.post("/api/model", json={"name": name}).json()
    return job


@pytest.mark.usefixtures("loading")
def test_turns_asked_for_before_are_made_with_the_model_before(
    client: TestClient, studio: Studio, gate: Gate, toy_backbone: Backbone
) -> None:
    source = started(client)["turns"][0]
    before = toy_backbone.identity.name
    job = client.post("/api/sessions/cat/edit", json=edit_form(source["id"], method={"name": "gated"})).json()
    assert gate.reached.wait(PATIENCE)
    change = asked(client, OTHER)
    late = client.post("/api/sessions/cat/edit", json=edit_form(source["id"]))
    assert late.status_code == 409
    assert late.json()["error"].startswith(f"the studio is about to change to {OTHER}: ask again")
    assert client.get("/api/about").json()["model"]["name"] == before
    gate.let(10)
    for waiting in (job, change):
        assert finished(client, waiting)["state"] == "done"
    assert client.get("/api/about").json()["model"]["name"] == OTHER
    edited(client, source["id"], "a green cat")
    assert [turn["spec"]["model"] for turn in shown(client)["turns"][1:]] == [before, OTHER]
    used = [one["name"] for one in client.get("/api/models").json()["models"] if one["used"]]
    assert used == [OTHER]


def test_a_model_that_cannot_be_loaded_takes_nothing_away(client: TestClient, studio: Studio) -> None:
    def broken(name: str) -> Backbone:
        raise ModelError(f"{name} is damaged")

    studio.load = broken
    before = client.get("/api/about").json()["model"]["name"]
    job = finished(client, asked(client, OTHER))
    assert (job["state"], job["error"]) == ("failed", f"{OTHER} is damaged")
    assert client.get("/api/about").json()["model"]["name"] == before
    edited(client, started(client)["turns"][0]["id"])


@pytest.mark.usefixtures("loading")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("black-forest-labs/FLUX.1-dev", "black-forest-labs/FLUX.1-dev: not on this machine"),
        ("../../etc", "no model '../../etc' on this machine"),
    ],
)
def test_only_what_is_on_this_machine_is_loaded(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    monkeypatch.setattr("undrift.studio.models.local_models", lambda: iter(()))
    monkeypatch.setattr("undrift.studio.models.is_here", lambda known: "/" not in known)
    answer = client.post("/api/model", json={"name": name})
    assert answer.status_code == 400
    assert why in answer.json()["error"]


def test_a_studio_with_one_model_says_so(client: TestClient) -> None:
    assert client.get("/api/about").json()["other_models"] is False
    answer = client.post("/api/model", json={"name": OTHER})
    assert answer.json()["error"] == "this studio has one model for good: start another one with --model"


def offered(client: TestClient, name: str, query: str = "") -> Json:
    """What the page is told of a model."""
    models: list[Json] = client.get(f"/api/models{query}").json()["models"]
    return next(one for one in models if one["name"] == name)


@pytest.mark.parametrize(
    ("free", "why"), [(80e9, "not on this machine"), (16e9, "larger than the 16.0 GB of memory")]
)
def test_what_a_download_takes_is_told_before_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, free: float, why: str
) -> None:
    monkeypatch.setattr("undrift.studio.models.local_models", lambda: iter(()))
    monkeypatch.setattr("undrift.studio.models.is_here", lambda known: "/" not in known)
    monkeypatch.setattr("undrift.studio.models.free_memory", lambda: int(free))
    flux = offered(client, "black-forest-labs/FLUX.1-dev")
    assert f"{flux['bytes'] / 1e9:.0f} GB" in flux["about"]
    assert (flux["download"], "non-commercial" in flux["licence"]) == (True, True)
    assert why in flux["why_not"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one small model, which is known."""
    monkeypatch.setattr("undrift.studio.models.KNOWN", {SMALL: "a tiny FLUX", OTHER: "embedded"})
    made = Hub(save_tiny_flux(tmp_path / "repository"), SMALL)
    with served(made, tmp_path / "cache", monkeypatch):
        yield made


@pytest.mark.usefixtures("loading")
def test_a_model_is_downloaded_while_a_turn_runs(client: TestClient, gate: Gate, hub: Hub) -> None:
    source = started(client)["turns"][0]
    assert offered(client, SMALL)["why_not"] == "not on this machine"
    assert offered(client, SMALL)["download"]
    turn = client.post("/api/sessions/cat/edit", json=edit_form(source["id"], method={"name": "gated"})).json()
    assert gate.reached.wait(PATIENCE)
    job = client.post("/api/models/download", json={"name": SMALL}).json()
    assert (job["state"], job["position"], job["title"]) == ("running", 0, f"download {SMALL}")
    assert finished(client, job)["state"] == "done"
    assert [file for file in hub.fetched if file.endswith(".safetensors")]
    gate.let(10)
    assert finished(client, turn)["state"] == "done"
    now = offered(client, SMALL)
    assert (now["download"], now["why_not"]) == (False, "")
    # In 32 bits on a processor, and what computing takes on top: that grows with the picture.
    assert now["memory"] > 2 * now["bytes"]
    assert now["memory"] > offered(client, SMALL, "?session=cat")["memory"] > 2 * now["bytes"]


@pytest.mark.usefixtures("loading")
def test_a_download_that_cannot_be_says_why_in_its_place(client: TestClient, hub: Hub) -> None:
    (hub.folder / "model_index.json").unlink()
    job = finished(client, client.post("/api/models/download", json={"name": SMALL}).json())
    assert job["state"] == "failed"
    assert f"{SMALL} has no model_index.json" in job["error"]
    answer = client.post("/api/models/download", json={"name": "someone/else"})
    assert answer.status_code == 400
    assert answer.json()["error"] == f"'someone/else' is not downloaded by the studio, expected one of: {SMALL}"


def test_a_studio_with_one_model_downloads_none(client: TestClient, hub: Hub) -> None:
    answer = client.post("/api/models/download", json={"name": SMALL})
    assert (answer.status_code, hub.fetched) == (400, [])


def test_a_turn_s_memory_grows_with_the_picture_and_the_loaded_weights_do_not_count(
    client: TestClient, studio: Studio, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(client)
    assert client.post("/api/cost?session=cat", json={"name": "toy"}).json() == {"evaluations": 4}, (
        "the toy has no files"
    )
    monkeypatch.setattr(studio.backbone, "identity", replace(studio.backbone.identity, name=str(hub.folder)))
    small = turn_memory(studio, (64, 64))
    assert turn_memory(studio, (640, 640))["memory"] > 10 * small["memory"] > 0
    told = client.post("/api/cost?session=cat", json={"name": "toy"}).json()
    assert told["memory"] == turn_memory(studio, (40, 32))["memory"]
    assert client.post("/api/cost?session=none", json={"name": "toy"}).status_code == 404
