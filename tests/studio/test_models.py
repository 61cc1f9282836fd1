"""Changing the model of a running studio: in its place among the turns, and never to nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from tests.studio.conftest import PATIENCE, Gate, Json, edit_form, edited, finished, shown, started
from tests.support.toy import ToyBackbone
from undrift.backbones.base import Backbone
from undrift.errors import ModelError
from undrift.studio.studio import Studio

OTHER = "littleworld-sd"


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
        ("black-forest-labs/FLUX.1-dev", "not on this machine: undrift studio --model black-forest-labs/FLUX.1-dev"),
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
