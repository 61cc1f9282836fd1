"""Who does what on a cluster, and what happens when workers die; test_ray.py does it on a real one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import undrift.backbones
from tests.bench.runner.fake_ray import FakeRay
from tests.bench.runner.support import hashes, job, make, order, records
from tests.support.toy import ToyBackbone
from undrift.bench.records import RunFolder
from undrift.bench.runner.ray_place import DEATHS, OnRay
from undrift.bench.runner.start import begin
from undrift.bench.suites.base import SuiteSpec
from undrift.errors import Cancelled, SessionError

SUITE = SuiteSpec(name="littleworld", variant="quick", limit=4, turns=2)
ASKED = order(("reflow::steps=1;label=one", "no_edit"), SUITE, batch=2)


@pytest.fixture(autouse=True)
def toy_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undrift.backbones, "load", lambda name: ToyBackbone())


def on(ray: FakeRay, folder: Path, monkeypatch: pytest.MonkeyPatch, address: str = "local:2") -> RunFolder:
    """The run, done on ``ray``."""
    monkeypatch.setitem(sys.modules, "ray", ray)
    run = RunFolder(folder)
    with OnRay(address, {"name": "toy"}) as place:
        manifest = begin(ASKED, run, place.identity, place.tuned)
        place.work(job(run, manifest), lambda record: None)
    assert ray.down
    return run


def test_every_unit_is_done_once_and_gives_what_this_process_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay()
    run = on(ray, tmp_path / "ray", monkeypatch)
    here = make(tmp_path / "here", ToyBackbone(), ASKED)
    assert hashes(run) == hashes(here)
    assert (len(ray.asked), len(set(ray.asked)), ray.hired) == (4, 4, 2)


def test_the_unit_of_a_worker_that_dies_is_done_by_its_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths = iter([False, True, False, True])
    ray = FakeRay(lambda unit, given_up: next(deaths, False))
    run = on(ray, tmp_path / "ray", monkeypatch)
    assert hashes(run) == hashes(make(tmp_path / "here", ToyBackbone(), ASKED))
    assert (len(ray.asked), len(set(ray.asked)), ray.hired) == (6, 4, 4)


def test_a_unit_that_kills_its_workers_is_given_up_and_the_others_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay(lambda unit, given_up: unit.label == "one" and "lw-000" in unit.cases and given_up is None)
    run = on(ray, tmp_path, monkeypatch)
    failed = {(r.label, r.case, r.turn): r.error for r in records(run) if r.error}
    why = f"RuntimeError: {DEATHS} workers died of it; a smaller --batch needs less memory"
    assert failed == {("one", "lw-000", 1): why, ("one", "lw-001", 1): why}
    assert len([r for r in records(run) if r.image]) == 12
    assert ray.hired == 2 + DEATHS


def test_a_full_disk_in_a_worker_stops_the_run_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from undrift.bench.runner import ledger

    def full(path: Path, data: bytes) -> None:
        raise SessionError(f"cannot write '{path.name}': no space left on device")

    monkeypatch.setattr(ledger, "write_atomically", full)
    with pytest.raises(SessionError, match=r"^cannot write '1\.png': no space left on device$"):
        on(FakeRay(), tmp_path, monkeypatch)


def test_the_user_can_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise Cancelled("stopped by Ctrl-C")

    ray, run = FakeRay(), RunFolder(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(Cancelled), OnRay("local:1", {"name": "toy"}, stop) as place:
        place.work(job(run, begin(ASKED, run, place.identity, place.tuned)), lambda record: None)
    assert ray.down


@pytest.mark.parametrize(
    ("address", "resources", "workers", "share"),
    [
        ("local", {"CPU": 3.0}, 3, {"num_cpus": 1}),
        ("local:2", {"CPU": 3.0, "GPU": 1.0}, 2, {"num_cpus": 1}),
        ("10.0.0.1:6379", {"CPU": 64.0, "GPU": 4.0}, 4, {"num_gpus": 1, "num_cpus": 0}),
    ],
)
def test_one_worker_per_gpu_or_core(
    monkeypatch: pytest.MonkeyPatch, address: str, resources: dict[str, float], workers: int, share: dict[str, int]
) -> None:
    ray = FakeRay(resources=resources)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with OnRay(address, {"name": "toy"}):
        assert (ray.hired, ray.options["share"]) == (workers, share)
        assert ray.options["address"] == ("local" if address.startswith("local") else address)
