"""The hub, played by a server on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """The repository ``name`` that is served from ``folder``, and the paths of the files that were asked for."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.fetched: list[str] = []
        self.revisions: list[str] = []

    def files(self) -> list[Path]:
        return sorted(file for file in self.folder.rglob("*") if file.is_file())

    def about(self) -> dict[str, Any]:
        siblings = [
            {"rfilename": file.relative_to(self.folder).as_posix(), "size": file.stat().st_size}
            for file in self.files()
        ]
        return {
            "id": self.name,
            "modelId": self.name,
            "sha": COMMIT,
            "siblings": siblings,
            "private": False,
            "tags": [],
        }

    def tree(self) -> list[dict[str, Any]]:
        return [
            {
                "type": "file",
                "path": file.relative_to(self.folder).as_posix(),
                "size": file.stat().st_size,
                "oid": hashlib.sha256(file.read_bytes()).hexdigest(),
            }
            for file in self.files()
        ]


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            path = self.path.partition("?")[0]
            if path.startswith(f"/api/models/{hub.name}"):
                told = hub.tree() if "/tree/" in path else hub.about()
                self._send(json.dumps(told).encode(), {"Content-Type": "application/json"}, with_body)
                hub.revisions.append(path.rpartition("/")[2])
                return
            place = path.removeprefix(f"/{hub.name}/resolve/").partition("/")[2]
            file = hub.folder / place
            if not place or not file.is_file():
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = file.read_bytes()
            etag = hashlib.sha256(data).hexdigest()
            if with_body:
                hub.fetched.append(place)
            self._send(data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, with_body)

        def _send(self, data: bytes, headers: dict[str, str], with_body: bool) -> None:
            self.send_response(200)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def served(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """While the block runs, the hub's library asks ``hub`` and keeps what it fetches in ``cache``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    here = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", here)
    template = here + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
