"""A real server on this machine that answers chat completions as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """One answer: ``text`` as the message of a completion, or ``raw`` as it is; ``hangs`` never answers."""

    text: str = ""
    status: int = 200
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False

    @property
    def body(self) -> bytes:
        completion = {"choices": [{"message": {"role": "assistant", "content": self.text}}]}
        return json.dumps(completion).encode() if self.raw is None else self.raw


@dataclass
class Model:
    """What the server got and gives."""

    answer: Callable[[dict[str, Any]], Reply]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(answer: Callable[[dict[str, Any]], Reply]) -> Iterator[Model]:
    """A server that gives each request to ``answer``."""
    model = Model(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model.requests.append({"path": self.path, **asked})
            model.headers.append({name.lower(): value for name, value in self.headers.items()})
            reply = model.answer(asked)
            if reply.hangs:
                model.released.wait(30)
                return
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    model.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield model
    finally:
        model.released.set()
        server.shutdown()
        server.server_close()
