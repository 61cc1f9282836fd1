"""ComfyUI itself, where there is one: started over a folder with our nodes, and asked over its own HTTP.

``UNDRIFT_COMFYUI`` names a folder with ComfyUI, ``UNDRIFT_COMFYUI_PYTHON`` a Python that has what it needs and what
undrift needs; without it that of the tests.
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

from tests.support.programs import ROOT, environment
from undrift.session.store import Session

COMFYUI = os.environ.get("UNDRIFT_COMFYUI", "")
PYTHON = os.environ.get("UNDRIFT_COMFYUI_PYTHON", sys.executable)
NODES = ROOT / "integrations" / "comfyui"

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
        record: dict[str, Any] = waited(lambda: self.call(f"/history/{number}").get(number), "the graph is run")
        return record

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


def laid_out(folder: Path) -> Path:
    """``folder``, with what ComfyUI keeps for one user: our nodes and the example's picture."""
    for name in ("custom_nodes", "input", "models", "output", "temp", "user"):
        (folder / name).mkdir()
    (folder / "custom_nodes" / "undrift").symlink_to(NODES, target_is_directory=True)
    shutil.copy(ROOT / "examples" / "dog.png", folder / "input")
    return folder


def happened(record: dict[str, Any]) -> dict[str, Any]:
    """What is told of a graph that was run, by its kind."""
    return dict(record["status"]["messages"])
