"""A studio with a toy model that takes milliseconds, and turns that wait for the test where it matters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pytest
from starlette.testclient import TestClient

from tests.support.toy import ToyBackbone, ToyMethod, ToyParams, toy_picture
from undrift.backbones.base import Backbone
from undrift.flow import Observer, Step
from undrift.methods import registry
from undrift.methods.base import EditRequest, EditResult, Params
from undrift.pictures import png_bytes
from undrift.studio.app import create_app
from undrift.studio.studio import Studio

PATIENCE = 60.0

Json = dict[str, Any]


class Gate(Observer):
    """Lets a turn take as many steps as the test has allowed."""

    def __init__(self) -> None:
        self._allowed = threading.Semaphore(0)
        self.reached = threading.Event()

    def let(self, steps: int = 1) -> None:
        """Allow more steps."""
        self._allowed.release(steps)

    def begin(self, step: Step) -> None:
        self.reached.set()
        assert self._allowed.acquire(timeout=PATIENCE), "the test never let this step go"


class GatedMethod(ToyMethod):
    """The toy, one step at a time."""

    name: ClassVar[str] = "gated"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType({"default": ToyParams(steps=3)})
    gate: ClassVar[Gate]

    def edit(self, backbone: Backbone, request: EditRequest, observers: Any = ()) -> EditResult:
        return super().edit(backbone, request, [*observers, self.gate])


@pytest.fixture
def gate() -> Gate:
    """What holds turns of the method ``gated`` back."""
    GatedMethod.gate = Gate()
    return GatedMethod.gate


@pytest.fixture(scope="session")
def toy_backbone() -> Backbone:
    """The toy model."""
    return ToyBackbone()


@pytest.fixture
def studio(toy_backbone: Backbone, tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """A studio over an empty folder."""
    known = {"toy": ToyMethod, "gated": GatedMethod, **registry.all_methods()}
    monkeypatch.setattr(registry, "all_methods", lambda: known)
    folder = tmp_path / "sessions"
    folder.mkdir()
    return Studio(toy_backbone, folder)


@pytest.fixture
def client(studio: Studio, gate: Gate) -> Iterator[TestClient]:
    """Asks the studio as a program on this machine does."""
    with TestClient(create_app(studio), base_url="http://127.0.0.1:7860", raise_server_exceptions=False) as opened:
        yield opened
        gate.let(1000)


def picture_file(width: int = 40, height: int = 32) -> bytes:
    """A small PNG."""
    return png_bytes(toy_picture(width, height))


def finished(client: TestClient, job: Json) -> Json:
    """The job once it has ended."""
    ended: Json = until(lambda: found(client, job["id"]), lambda seen: seen["state"] not in ("queued", "running"))
    return ended


def found(client: TestClient, key: str) -> Json:
    """A job as it is now."""
    jobs: list[Json] = client.get("/api/jobs").json()["jobs"]
    return next(job for job in jobs if job["id"] == key)


def until(look: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """What ``look`` sees once it is ``enough``."""
    end = time.monotonic() + PATIENCE
    while not enough(seen := look()):
        assert time.monotonic() < end, f"never came: {seen}"
        time.sleep(0.005)
    return seen


def started(client: TestClient, name: str = "cat", prompt: str = "a red cat") -> Json:
    """A new session, as the API shows it."""
    upload = client.post("/api/uploads", content=picture_file()).json()
    answer = client.post("/api/sessions", json={"upload": upload["id"], "prompt": prompt, "name": name})
    assert answer.status_code == 200, answer.text
    assert finished(client, answer.json())["state"] == "done"
    return shown(client, name)


def shown(client: TestClient, name: str = "cat") -> Json:
    """A session as the API shows it now."""
    answer = client.get(f"/api/sessions/{name}")
    assert answer.status_code == 200, answer.text
    view: Json = answer.json()
    return view


def edit_form(parent: str, prompt: str = "a blue cat", **more: Any) -> Json:
    """The form of an edit with the toy method."""
    return {"parent": parent, "prompt": prompt, "method": {"name": "toy"}, "seed": 1, **more}


def edited(client: TestClient, parent: str, prompt: str = "a blue cat", name: str = "cat", **more: Any) -> Json:
    """The turn that an edit gave."""
    answer = client.post(f"/api/sessions/{name}/edit", json=edit_form(parent, prompt, **more))
    assert answer.status_code == 200, answer.text
    job = finished(client, answer.json())
    assert job["state"] == "done", job
    turns: list[Json] = shown(client, name)["turns"]
    return next(turn for turn in turns if turn["id"] == job["turns"][0])
