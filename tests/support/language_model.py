"""A language model that says what a test wrote down: a local HTTP server with one reply for each request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EMPTY = {"action": "edit", "caption": "", "shows": "", "kinds": [], "words": [], "turn": 0, "question": ""}


def answer(**values: Any) -> str:
    """The content of a good answer."""
    return json.dumps({**EMPTY, **values})


@dataclass(frozen=True)
class Reply:
    """One response.

    Attributes:
        content: of the message.
        status, refusal, ended: of the response, the message and the choice.
        body: instead of all that, the body as it is.
        wait: seconds before it is sent; ``drip`` sends a byte at a time with as long a pause.
        location: of a redirect.
        retry_after: seconds, as the header says them.
    """

    content: str | None = None
    status: int = 200
    refusal: str | None = None
    ended: str = "stop"
    body: bytes | None = None
    wait: float = 0.0
    drip: bool = False
    location: str = ""
    retry_after: str = ""

    @property
    def data(self) -> bytes:
        """The body."""
        if self.body is not None:
            return self.body
        message = {"role": "assistant", "content": self.content, "refusal": self.refusal}
        choice = {"index": 0, "message": message, "finish_reason": self.ended}
        return json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]}).encode()


@dataclass
class Scripted:
    """What was asked, and what is left to say; without anything left the last reply is said again."""

    url: str
    replies: list[Reply]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The last message of each request, parsed where it is JSON."""
        return [json.loads(request["messages"][1]["content"]) for request in self.requests]


@contextmanager
def scripted(*replies: Reply | str) -> Iterator[Scripted]:
    """A server that gives ``replies`` one after another; texts are contents of messages."""
    script = Scripted("", [Reply(each) if isinstance(each, str) else each for each in replies])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            script.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            script.headers.append({name.lower(): value for name, value in self.headers.items()})
            reply = script.replies.pop(0) if len(script.replies) > 1 else script.replies[0]
            script.ended.wait(reply.wait)
            try:
                self.send_response(reply.status)
                self.send_header("content-type", "application/json")
                if reply.retry_after:
                    self.send_header("retry-after", reply.retry_after)
                if reply.location:
                    self.send_header("location", reply.location)
                self.end_headers()
                for part in [reply.data[k : k + 1] for k in range(len(reply.data))] if reply.drip else [reply.data]:
                    self.wfile.write(part)
                    self.wfile.flush()
                    if reply.drip:
                        time.sleep(0.02)
            except OSError:
                return  # whoever asked has gone

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
