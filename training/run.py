"""What every part of the training shares: threads, a clock that survives restarts, checkpoints and a log."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch


def prepare(threads: int) -> None:
    """Use so many threads; subnormal numbers are taken as zero, since they slow a CPU down a hundredfold."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


class Clock:
    """Seconds of training, counted over all invocations."""

    def __init__(self, elapsed: float = 0.0) -> None:
        self._start = time.monotonic() - elapsed

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._start


class Stop:
    """Turns the first SIGTERM or interrupt into a request, so that a checkpoint can be written."""

    def __init__(self) -> None:
        self.requested = False
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, self._request)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(number, signal.SIG_DFL)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` so that a crash leaves the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """What `save_checkpoint` wrote, or None when there is nothing yet."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state


def log(path: Path, **values: Any) -> None:
    """Append one JSON line to `path` and print it."""
    line = json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()})
    with path.open("a") as file:
        file.write(line + "\n")
    print(time.strftime("%H:%M:%S"), line, flush=True)


def lr_factor(progress: float, step: int, warmup: int = 50, decay_from: float = 0.6) -> float:
    """Linear warm-up over `warmup` steps, then 1, then linear decay from `decay_from` of the budget to nearly 0."""
    decay = min(1.0, (1 - progress) / (1 - decay_from))
    return max(0.01, min(1.0, (step + 1) / warmup, decay))
