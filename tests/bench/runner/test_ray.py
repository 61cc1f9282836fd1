"""The same run on a local Ray cluster, a worker of which is killed in the middle of its work."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.bench.runner.support import hashes, job, make, order, records
from undrift.backbones import Backbone
from undrift.bench.records import RunFolder, TurnRecord
from undrift.bench.runner.ray_place import OnRay
from undrift.bench.runner.start import begin
from undrift.bench.suites.base import SuiteSpec
from undrift.errors import InputError, ModelError

WORDS = ("fireflow::steps=2;label=fireflow", "reflow::steps=2;label=reflow", "no_edit")
SUITE = SuiteSpec(name="littleworld", variant="quick", limit=4, turns=2)
ASKED = order(WORDS, SUITE, batch=2)


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"^--ray needs the package ray: pip install 'undrift\[ray\]'$"):
        OnRay("local", {})


def test_a_number_of_workers_is_a_number() -> None:
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=r"^--ray local:many: expected local:N"):
        OnRay("local:many", {})


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(tmp_path: Path, littleworld: Backbone) -> None:
    pytest.importorskip("ray")
    here = make(tmp_path / "here", littleworld, ASKED)
    run = RunFolder(tmp_path / "ray")
    killed: list[int] = []
    heard: list[TurnRecord] = []

    def told(record: TurnRecord) -> None:
        heard.append(record)
        if not killed:
            # Worker 0 was given the first unit, worker 1 the second: whichever is done first, the other one goes.
            killed.append(place.pids[1] if record.label == "fireflow" else place.pids[0])
            os.kill(killed[0], signal.SIGKILL)

    with OnRay("local:2", {"name": "littleworld", "device": "cpu"}) as place:
        assert place.identity == littleworld.identity
        manifest = begin(ASKED, run, place.identity, place.tuned)
        place.work(job(run, manifest), told)
        assert killed[0] not in place.pids.values(), "it was replaced"
    assert hashes(run) == hashes(here)
    assert [r.image_hash for r in records(run)] == [r.image_hash for r in records(here)]
    assert {r.label for r in heard} == {"fireflow", "reflow", "no_edit"}
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


@pytest.mark.slow
def test_errors_of_ours_come_out_of_the_workers_as_they_are(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(ModelError, match=r"^no model 'nowhere/at/all'"), OnRay("local:1", {"name": "nowhere/at/all"}):
        pass
