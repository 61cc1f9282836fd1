"""A click on a thing over HTTP: while the model is idle, and while it is at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient
from torch import Tensor

from tests.studio.conftest import PATIENCE, Gate, Json, edit_form, finished, found, shown, until
from tests.support.toy import ToyBackbone
from undrift.attention.taps import AttentionTap, Projections
from undrift.backbones.base import Backbone, NetworkInputs
from undrift.pictures import png_bytes
from undrift.session.segmenting import Segmented
from undrift.studio.studio import Studio

WIDTH, HEIGHT = 48, 32
LEFT = 24
"""Columns that are of the one colour."""


class SeeingToy(ToyBackbone):
    """The toy with a layer whose values are the patches themselves; it waits there where a test wants it to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.go.set()
        self.looking = threading.Event()
        self._looked_into: tuple[AttentionTap, ...] = ()

    @contextmanager
    def installed(self, *taps: AttentionTap) -> Iterator[None]:
        self._looked_into = taps
        yield
        self._looked_into = ()

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        for tap in self._looked_into:
            self.looking.set()
            assert self.go.wait(PATIENCE)
            tap.project(self.sites[0], Projections(x[:, :, None], x[:, :, None], x[:, :, None], text_tokens=0))
        return super().network(x, sigma, inputs)


@pytest.fixture
def toy_backbone() -> Backbone:
    return SeeingToy()


@pytest.fixture
def source(client: TestClient) -> Json:
    """The original of a session: orange on the left, blue on the right."""
    pixels = np.full((HEIGHT, WIDTH, 3), (40, 60, 200), dtype=np.uint8)
    pixels[:, :LEFT] = (240, 150, 30)
    upload = client.post("/api/uploads", content=png_bytes(Image.fromarray(pixels))).json()
    form = {"upload": upload["id"], "prompt": "two halves", "name": "cat"}
    assert finished(client, client.post("/api/sessions", json=form).json())["state"] == "done"
    turn: Json = shown(client)["turns"][0]
    return turn


def selected(client: TestClient, turn: Json, x: float, y: float) -> Json:
    answer = client.post("/api/sessions/cat/select", json={"turn": turn["id"], "x": x, "y": y})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


LEFT_HALF = {"busy": False, "runs": [[row, 0, LEFT] for row in range(HEIGHT)]}
RIGHT_HALF = {"busy": False, "runs": [[row, LEFT, WIDTH] for row in range(HEIGHT)]}


def test_each_half_is_a_thing(client: TestClient, source: Json) -> None:
    assert selected(client, source, 3, 4) == LEFT_HALF
    assert selected(client, source, WIDTH - 0.5, 4) == RIGHT_HALF


def test_a_turn_is_not_waited_for_unless_its_picture_was_looked_at(
    client: TestClient, source: Json, gate: Gate
) -> None:
    form = edit_form(source["id"], method={"name": "gated"})
    job = client.post("/api/sessions/cat/edit", json=form).json()
    assert gate.reached.wait(PATIENCE)
    assert selected(client, source, 3, 4) == {"busy": True, "runs": []}
    gate.let(3)
    assert finished(client, job)["state"] == "done"
    assert selected(client, source, 3, 4) == LEFT_HALF
    gate.reached.clear()
    client.post("/api/sessions/cat/edit", json=form)
    assert gate.reached.wait(PATIENCE)
    assert selected(client, source, WIDTH - 1, 4) == RIGHT_HALF


def test_a_turn_waits_for_the_look(client: TestClient, source: Json, toy_backbone: SeeingToy) -> None:
    toy_backbone.go.clear()
    with ThreadPoolExecutor() as pool:
        look = pool.submit(selected, client, source, 3, 4)
        assert toy_backbone.looking.wait(PATIENCE)
        job = client.post("/api/sessions/cat/edit", json=edit_form(source["id"])).json()
        assert found(client, job["id"])["state"] == "queued"
        toy_backbone.go.set()
        assert look.result() == LEFT_HALF
    assert until(lambda: found(client, job["id"]), lambda seen: seen["state"] == "done")["turns"]


def test_what_cannot_be_looked_at_is_one_clear_line(client: TestClient, source: Json) -> None:
    def problem(**form: object) -> str:
        answer = client.post("/api/sessions/cat/select", json={"turn": source["id"], "x": 1, "y": 1, **form})
        assert 400 <= answer.status_code < 500
        return str(answer.json()["error"])

    assert problem(x=WIDTH) == "the point 48,1 is not in the picture of 48x32 pixels"
    assert "no turn" in problem(turn="0" * 12)
    assert "reach" in problem(reach=2)


class BlindToy(ToyBackbone):
    """The toy without any layer that could be looked into."""


@pytest.mark.parametrize("toy_backbone", [BlindToy()])
def test_a_model_that_sees_nothing_says_so(client: TestClient, source: Json, toy_backbone: Backbone) -> None:
    answer = client.post("/api/sessions/cat/select", json={"turn": source["id"], "x": 1, "y": 1})
    assert answer.status_code == 400
    assert answer.json() == {"error": "this model has no layer that tells which parts of a picture are alike"}


class Half:
    """A segmenter that answers with the half that was clicked."""

    name = "half"
    looks = 0

    def see(self, picture: Image.Image) -> Segmented:
        self.looks += 1
        return HalfSeen(None, None, torch.zeros(1), (HEIGHT, WIDTH), picture.size)


class HalfSeen(Segmented):
    def thing_at(self, point: tuple[float, float], reach: float = 0.5) -> NDArray[np.bool_]:
        mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
        mask[:, : WIDTH // 2] = point[0] < WIDTH // 2
        mask[:, WIDTH // 2 :] = point[0] >= WIDTH // 2
        return mask


def test_a_segmenter_finds_it_in_the_model_s_place_and_looks_once(
    client: TestClient, studio: Studio, source: Json
) -> None:
    half = Half()
    studio.segmenter = half  # type: ignore[assignment]
    assert selected(client, source, 1, 5) == LEFT_HALF
    assert selected(client, source, WIDTH - 1, 5) == RIGHT_HALF
    assert half.looks == 1
