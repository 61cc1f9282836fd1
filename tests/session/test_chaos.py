"""A few of the kills of ``make chaos``: turns are finished meanwhile, and none is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS = 12


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes are killed otherwise elsewhere")
def test_killed_processes_lose_no_finished_turn() -> None:
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    command = [sys.executable, "-m", "tests.support.chaos", "--kills", str(KILLS), "--seed", "1"]
    ran = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    told = re.match(
        r"12 kills, \d+ of them within a turn; (\d+) turns were finished, 0 of them lost; 0 files", ran.stdout
    )
    assert told is not None, ran.stdout
    assert int(told[1]) >= KILLS
