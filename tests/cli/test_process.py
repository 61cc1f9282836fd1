"""What only a real process shows: what --help imports, and Ctrl-C in the middle of a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import SLOW, environment
from undrift.session.store import Session

HEAVY = ("torch", "numpy", "diffusers", "transformers", "rich", "pydantic", "PIL", "sqlite3")

IMPORTED = """
import sys
from undrift.cli.main import cli
for arguments in (["--help"], ["--version"], ["completion", "fish"], *([name, "--help"] for name in cli.commands)):
    cli.main(arguments, prog_name="undrift", standalone_mode=False)
print("HEAVY:", *(name for name in {heavy} if name in sys.modules))
"""


def test_help_and_completion_load_nothing_heavy() -> None:
    code = IMPORTED.format(heavy=HEAVY)
    run = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "HEAVY:"


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, undrift; print(*(n for n in {HEAVY} if n in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_stops_within_a_step_and_keeps_the_session(folder: Path) -> None:
    edits = [part for number in range(200) for part in ("-e", f"a dog number {number}")]
    command = [sys.executable, "-c", SLOW, "run", "cat.png", "-p", "a cat", *edits, "--method", "toy"]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stderr is not None
        first = next(line for line in process.stderr if line.startswith("turn 2/200"))
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert first.startswith("turn 2/200: a dog number 1")
    assert process.returncode == 130
    last = rest.splitlines()[-1]
    assert last.startswith("stopped: ")
    assert last.endswith('go on with: undrift edit -s undrift-cat "..."')
    session = Session.open(folder / "undrift-cat")
    done = len(session.turns()) - 1
    assert 2 <= done < 200
    assert f"{done} of 200 turns are done" in last
    assert session.unfinished() == ()
