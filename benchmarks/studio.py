"""How quickly the studio's page is answered while it is at work, as a ratio to how quickly it is when it is not.

    python benchmarks/studio.py --rounds 5 --output studio.json

A studio of its own process serves LittleWorld. In each round the same requests are timed three times: with an idle
model, while a turn of 1000 steps is computed, and while other pages bring in photos of 24 megapixels, one after
another. They are what a page asks for as somebody works: the session, the list of sessions, the words that change,
what an instruction means, what a turn costs, the queue, a thumbnail, and a heat map, which is the most that any of
them computes. Only the ratios say anything about another machine.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

STEPS = 1000
PROMPT = "a yellow dog next to a pink cactus on a beach"


class Page:
    """One connection to the studio, as a browser holds it."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def ask(self, method: str, path: str, form: Any = None) -> Any:
        """The answer to a request: JSON, or the bytes of a picture. ``form`` is sent as JSON, bytes as they are."""
        body = form if form is None or isinstance(form, bytes) else json.dumps(form)
        self._connection.request(method, path, body)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{path}: {answer.status} {data.decode()}")
        return json.loads(data) if answer.getheader("content-type", "").endswith("json") else data

    def finished(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job once it has ended."""
        while True:
            seen = next(one for one in self.ask("GET", "/api/jobs")["jobs"] if one["id"] == job["id"])
            if seen["state"] not in ("queued", "running"):
                return dict(seen)
            time.sleep(0.02)


@contextmanager
def studio(folder: str) -> Iterator[str]:
    """A studio process over ``folder``; yields its address."""
    command = [
        sys.executable,
        "-m",
        "undrift.cli.main",
        "studio",
        "--sessions",
        folder,
        "--no-browser",
        "--port",
        "0",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("studio: ").strip()
    finally:
        process.terminate()
        process.wait()


def prepared(page: Page) -> list[tuple[str, str, Any]]:
    """A session with one turn, and the requests to time."""
    upload = page.ask("POST", "/api/example")
    start = {"upload": upload["id"], "prompt": upload["prompt"], "name": "bench"}
    page.finished(page.ask("POST", "/api/sessions", start))
    source = page.ask("GET", "/api/sessions/bench")["turns"][0]["id"]
    page.finished(page.ask("POST", "/api/sessions/bench/edit", edit(source, 15)))
    turn = page.ask("GET", "/api/sessions/bench")["head"]
    return [
        ("GET", "/api/sessions/bench", None),
        ("GET", "/api/sessions", None),
        ("GET", "/api/jobs", None),
        ("POST", "/api/diff", {"source": upload["prompt"], "target": PROMPT}),
        ("POST", "/api/sessions/bench/say", {"turn": turn, "text": "make the cactus blue"}),
        ("POST", "/api/cost?session=bench", edit(source, 15)["method"]),
        ("GET", f"/api/sessions/bench/turns/{turn}/thumbnail", None),
        ("GET", f"/api/sessions/bench/heat/{source}/{turn}", None),
    ]


def edit(parent: str, steps: int) -> dict[str, Any]:
    """The form of a turn."""
    method = {"name": "multi_turn", "params": {"steps": steps}}
    return {"parent": parent, "prompt": PROMPT, "seed": 1, "method": method}


def timed(page: Page, requests: list[tuple[str, str, Any]], count: int) -> list[float]:
    """Milliseconds of ``count`` of each request, one after another."""
    times = []
    for _ in range(count):
        for request in requests:
            began = time.perf_counter()
            page.ask(*request)
            times.append(1000 * (time.perf_counter() - began))
    return times


@contextmanager
def turn_runs(page: Page) -> Iterator[None]:
    """A turn is computed in the block."""
    source = page.ask("GET", "/api/sessions/bench")["turns"][0]["id"]
    job = page.ask("POST", "/api/sessions/bench/edit", edit(source, STEPS))
    yield
    page.ask("POST", f"/api/jobs/{job['id']}/cancel")
    if page.finished(job)["state"] != "cancelled":
        raise RuntimeError("the turn ended before the measurement: ask for more steps")


def photo() -> bytes:
    """A JPEG of 24 megapixels with as much detail as a photo's."""
    small = np.random.default_rng(0).integers(0, 256, (375, 562, 3), dtype=np.uint8)
    written = io.BytesIO()
    Image.fromarray(small).resize((6000, 4000), Image.Resampling.BICUBIC).save(written, "JPEG", quality=90)
    return written.getvalue()


@contextmanager
def photos_come(url: str, data: bytes) -> Iterator[None]:
    """Another page brings in a photo, and again, in the block."""
    done = threading.Event()

    def bring() -> None:
        page = Page(url)
        while not done.is_set():
            page.ask("POST", "/api/uploads", data)

    thread = threading.Thread(target=bring)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def measure(url: str, rounds: int, count: int) -> dict[str, list[float]]:
    """Milliseconds in each state of the studio; a round measures all of them, so that all are disturbed alike."""
    page, data = Page(url), photo()
    requests = prepared(page)
    timed(page, requests, 3)
    times: dict[str, list[float]] = {"idle": [], "a turn runs": [], "a photo is opened": []}
    for _ in range(rounds):
        times["idle"] += timed(page, requests, count)
        with turn_runs(page):
            times["a turn runs"] += timed(page, requests, count)
        with photos_come(url, data):
            times["a photo is opened"] += timed(page, requests, count)
    return times


def percentile(times: list[float], share: float) -> float:
    """The value that ``share`` of the times are below."""
    return sorted(times)[min(int(share * len(times)), len(times) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=25, help="of each request in a round")
    parser.add_argument("--output", type=Path, help="write the numbers here as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, studio(folder) as url:
        times = measure(url, args.rounds, args.count)
    result: dict[str, Any] = {"requests": len(times["idle"])}
    for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99)):
        found = {state: percentile(values, share) for state, values in times.items()}
        ratios = {state: value / found["idle"] for state, value in found.items()}
        result[name] = {"milliseconds": found, "ratio": ratios}
        print(
            f"{name:6}  "
            + "  ".join(f"{state} {value:.1f} ms ({ratios[state]:.2f})" for state, value in found.items())
        )
    if args.output:
        args.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
