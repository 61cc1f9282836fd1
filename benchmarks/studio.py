"""How quickly the studio's page is answered while a turn runs, as a ratio to how quickly it is when nothing does.

    python benchmarks/studio.py --rounds 5 --output studio.json

A studio of its own process serves LittleWorld. In each round the same requests are timed twice, with an idle model
and while a turn of 1000 steps is computed: the session, the words that change, a thumbnail and a heat map, which is
the most that any request computes. Only the ratio says anything about another machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

STEPS = 1000
PROMPT = "a yellow dog next to a pink cactus on a beach"


class Page:
    """One connection to the studio, as a browser holds it."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def ask(self, method: str, path: str, form: Any = None) -> Any:
        """The answer to a request: JSON, or the bytes of a picture."""
        self._connection.request(method, path, None if form is None else json.dumps(form))
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
        ("POST", "/api/diff", {"source": upload["prompt"], "target": PROMPT}),
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


def measure(page: Page, rounds: int, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds with an idle model, and while a turn runs; a round measures both, so that both are disturbed."""
    requests = prepared(page)
    source = page.ask("GET", "/api/sessions/bench")["turns"][0]["id"]
    idle, busy = [], []
    timed(page, requests, 3)
    for _ in range(rounds):
        idle += timed(page, requests, count)
        job = page.ask("POST", "/api/sessions/bench/edit", edit(source, STEPS))
        busy += timed(page, requests, count)
        page.ask("POST", f"/api/jobs/{job['id']}/cancel")
        if page.finished(job)["state"] != "cancelled":
            raise RuntimeError("the turn ended before the measurement: ask for more steps")
    return idle, busy


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
        idle, busy = measure(Page(url), args.rounds, args.count)
    result: dict[str, Any] = {"requests": len(idle)}
    for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99)):
        one, other = percentile(idle, share), percentile(busy, share)
        result[name] = {"idle_ms": one, "running_ms": other, "ratio": other / one}
        print(f"{name:6}  idle {one:6.1f} ms  while a turn runs {other:6.1f} ms  ratio {other / one:.2f}")
    if args.output:
        args.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
