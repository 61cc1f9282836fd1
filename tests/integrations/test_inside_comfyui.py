"""The nodes inside ComfyUI itself: its own loader, its check of a graph, its executor, asked over its own HTTP.

``UNDRIFT_COMFYUI`` names a folder with ComfyUI, ``UNDRIFT_COMFYUI_PYTHON`` a Python that has what it needs and what
undrift needs; without it that of the tests. Without the folder there is nothing to test.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import ROOT, environment
from undrift.pictures import read_picture
from undrift.session.store import Session

COMFYUI = os.environ.get("UNDRIFT_COMFYUI", "")
PYTHON = os.environ.get("UNDRIFT_COMFYUI_PYTHON", sys.executable)
NODES = ROOT / "integrations" / "comfyui"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not COMFYUI, reason="$UNDRIFT_COMFYUI names no folder with ComfyUI"),
]

Graph = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ComfyUI:
    """One that runs, with our folder among its custom nodes."""

    url: str
    folder: Path

    def call(self, path: str, body: object = None) -> Any:
        """What it answers; None for nothing."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=60) as answer:
            told = answer.read()
        return json.loads(told) if told else None

    def run(self, graph: Graph, meanwhile: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """Its record of a graph that it has run: ``outputs``, and a ``status`` with what happened."""
        number = self.call("/prompt", {"prompt": graph})["prompt_id"]
        meanwhile()
        return waited(lambda: self.call(f"/history/{number}").get(number), "the graph is run")

    @property
    def session(self) -> Session:
        """The example's session."""
        return Session.open(self.folder / "output" / "undrift" / "dog")


def waited(look: Callable[[], Any], what: str, seconds: float = 400) -> Any:
    """What ``look`` finds in the end."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return found


@contextmanager
def started(folder: Path) -> Iterator[ComfyUI]:
    """ComfyUI over ``folder``, on the CPU."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PYTHON, "main.py", "--cpu", "--port", str(port), "--base-directory", str(folder)]
    command += ["--disable-api-nodes", "--database-url", "sqlite:///:memory:"]
    log = folder / "log.txt"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, cwd=COMFYUI, env=environment(), stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
    try:
        running = ComfyUI(f"http://127.0.0.1:{port}", folder)

        def answers() -> bool:
            assert process.poll() is None, log.read_text("utf-8", "replace")[-4000:]
            try:
                return bool(running.call("/queue"))
            except OSError:
                return False

        waited(answers, "ComfyUI answers")
        yield running
    finally:
        process.terminate()
        process.wait(60)


def example() -> Graph:
    graph: Graph = json.loads((NODES / "example_workflow.json").read_text("utf-8"))
    return graph


def happened(record: dict[str, Any]) -> dict[str, Any]:
    """What is told of a graph that was run, by its kind."""
    return dict(record["status"]["messages"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of ComfyUI's for one user, with our nodes and the example's picture."""
    for name in ("custom_nodes", "input", "models", "output", "temp", "user"):
        (tmp_path / name).mkdir()
    (tmp_path / "custom_nodes" / "undrift").symlink_to(NODES, target_is_directory=True)
    shutil.copy(ROOT / "examples" / "dog.png", tmp_path / "input")
    return tmp_path


def test_the_example_runs_and_nothing_is_made_twice(folder: Path) -> None:
    """Loaded, run, run again after a restart, refused and stopped."""
    with started(folder) as comfyui:
        known = comfyui.call("/object_info")
        ours = {name: each for name, each in known.items() if each["category"] == "undrift"}
        assert len(ours) == 6
        assert {each["python_module"] for each in ours.values()} == {"custom_nodes.undrift"}
        record = comfyui.run(example())
        assert record["status"]["status_str"] == "success", record["status"]
        session = comfyui.session
        head = session.head
        assert head.prompt == "a blue dog wearing a red hat next to a red cactus on a beach"
        outputs = record["outputs"]
        (saved,) = outputs["8"]["images"]
        assert read_picture(folder / "output" / saved["filename"]).tobytes() == session.picture(head).tobytes()
        assert outputs["11"]["text"][0].endswith("% changed")
        assert "add a red hat" in outputs["12"]["text"][0]
        assert {len(outputs[node]["images"]) for node in ("9", "10")} == {1}
    before = [turn.id for turn in session.turns()]
    with started(folder) as comfyui:
        assert comfyui.run(example())["status"]["status_str"] == "success"
        assert [turn.id for turn in session.turns()] == before
        refused = example()
        refused["5"]["inputs"]["text"] = "make the horse red"
        told = happened(comfyui.run(refused))["execution_error"]
        assert (told["node_type"], told["exception_message"].count("\n")) == ("UndriftEditTurn", 1)
        assert "the caption has no 'the horse'" in told["exception_message"]
        stopped = example()
        stopped["5"]["inputs"].update(text="make it night", seed=11)

        def stop() -> None:
            waited(session.unfinished, "the turn is begun")
            comfyui.call("/interrupt", {})

        assert happened(comfyui.run(stopped, stop))["execution_interrupted"]["node_type"] == "UndriftEditTurn"
        assert session.unfinished() == ()
        assert [turn.id for turn in session.turns()] == before
