"""Killed in the middle without a warning, a run goes on where it was and ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch import Tensor

from tests.bench.runner.support import hashes, make, order, records
from tests.support.toy import ToyBackbone
from undrift.backbones.base import NetworkInputs
from undrift.bench.records import RunFolder

ROOT = Path(__file__).parents[3]
WORDS = ("reflow::steps=4", "flowedit::steps=4;n_max=3", "multi_turn::steps=2;highlight=false")
TURN = 8
"""The most evaluations of one turn."""


class Logged(ToyBackbone):
    """Writes a byte per evaluation to ``log``, and takes its time for it."""

    def __init__(self, log: Path, seconds: float = 0.0) -> None:
        super().__init__()
        self._log, self._seconds = log, seconds

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        with self._log.open("ab") as file:
            file.write(b".")
        time.sleep(self._seconds)
        return super().network(x, sigma, inputs)


def spent(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def killed(folder: Path, log: Path, turns: int) -> None:
    """Start or go on with the run in a process of its own, and kill that once there are so many turns."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.runner.test_resume", str(folder), str(log)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        deadline = time.monotonic() + 120
        while len(list(folder.rglob("*.png"))) < turns:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_a_killed_run_ends_as_an_unbroken_one_and_recomputes_at_most_the_turn_it_was_in(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole", Logged(tmp_path / "whole.log"), order(WORDS, batch=2))
    broken, log = RunFolder(tmp_path / "broken"), tmp_path / "broken.log"
    killed(broken.path, log, turns=3)
    killed(broken.path, log, turns=9)
    assert 0 < len(records(broken)) < len(records(whole))
    make(broken.path, Logged(log), order(WORDS, batch=2))
    assert hashes(broken) == hashes(whole)
    assert [r.model_copy(update=COST) for r in records(broken)] == [r.model_copy(update=COST) for r in records(whole)]
    # What methods share is remembered in memory alone: a kill forgets it.
    shared = sum(record.shared for record in records(whole))
    assert spent(log) - spent(tmp_path / "whole.log") <= 2 * TURN + shared


COST = {"seconds": 0.0, "peak_memory": None, "shared": 0}


if __name__ == "__main__":
    make(Path(sys.argv[1]), Logged(Path(sys.argv[2]), 0.02), order(WORDS, batch=2))
