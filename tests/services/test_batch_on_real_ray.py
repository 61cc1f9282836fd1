"""A batch on a cluster that Ray itself starts here, with the embedded model in its workers' processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import ROOT, environment
from undrift.pictures import read_picture
from undrift.session.store import Session

# On two busy cores Ray's services and its workers, each of which loads torch, take minutes to start.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ROWS = """id,picture,prompt,turn
dog,dog.png,a yellow dog next to a red cactus on a beach,make the dog blue
cat,cat.png,a red cat in the snow,make the cat green
horse,cat.png,a red cat in the snow,make the horse red
"""


def batch(folder: Path, *more: str) -> dict[str, object]:
    """What the command says; two of the rows can be made."""
    command = [sys.executable, "-m", "undrift.cli.main", "batch", "t.csv", "--preset", "fast", "--json"]
    run = subprocess.run(
        [*command, *more], cwd=folder, env=environment(), capture_output=True, text=True, timeout=900
    )
    assert run.returncode == 1, run.stderr
    told: dict[str, object] = json.loads(run.stdout)
    return told


def test_ray_s_own_workers_make_the_rows_that_this_process_makes(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    for name in ("dog.png", "cat.png"):
        read_picture(ROOT / "examples" / name).resize((64, 64)).save(tmp_path / name)
    (tmp_path / "t.csv").write_text(ROWS, "utf-8")
    spread, here = batch(tmp_path, "-o", "spread", "--ray", "local:2"), batch(tmp_path, "-o", "here")
    assert spread["failed"] == here["failed"]
    assert list(spread["failed"]) == ["horse"]  # type: ignore[call-overload]
    for row in ("dog", "cat"):
        made = [Session.open(tmp_path / where / "sessions" / row).turns() for where in ("spread", "here")]
        assert [turn.image_hash for turn in made[0]] == [turn.image_hash for turn in made[1]]
        assert (tmp_path / "spread" / "pictures" / f"{row}.png").is_file()
