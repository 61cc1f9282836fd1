"""Evaluations that methods have in common are computed once, and nobody can tell from the pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.runner.support import counted, hashes, job, order, records
from undrift.backbones import Backbone
from undrift.backbones.memory import VelocityMemory
from undrift.bench.records import RunFolder
from undrift.bench.runner.start import begin
from undrift.bench.runner.worker import Worker
from undrift.flow import ReusedMidpoint, evaluations

STEPS = 3
WORDS = (f"multi_turn::steps={STEPS};highlight_start=1", f"fireflow::steps={STEPS}", f"reflow::steps={STEPS}")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, littleworld: Backbone) -> dict[str, tuple[RunFolder, int]]:
    """The same run without and with a memory, each with the calls of the network that it took."""
    found = {}
    for name, memory in (("plain", None), ("shared", VelocityMemory())):
        with counted(littleworld) as calls:
            run = run_with(memory, tmp_path_factory.mktemp(name), littleworld)
        found[name] = run, len(calls)
    return found


def run_with(memory: VelocityMemory | None, folder: Path, backbone: Backbone) -> RunFolder:
    run = RunFolder(folder)
    manifest = begin(order(WORDS), run, backbone.identity, {})
    todo = job(run, manifest)
    worker = Worker(run, manifest, todo.by_id(), backbone, memory=memory)
    for unit in todo.units:
        worker.work(unit)
    return run


@pytest.mark.slow
def test_pictures_are_the_same_bits_and_the_network_is_called_less(runs: dict[str, tuple[RunFolder, int]]) -> None:
    (plain, plain_calls), (shared, shared_calls) = runs["plain"], runs["shared"]
    assert hashes(plain) == hashes(shared)
    before, after = ([r for r in records(run) if r.case == "lw-000"] for run in (plain, shared))
    assert [r.evaluations for r in before] == [r.evaluations for r in after]
    assert sum(r.shared for r in before) == 0
    assert plain_calls == sum(r.evaluations for r in before)
    assert shared_calls == plain_calls - sum(r.shared for r in after)


@pytest.mark.slow
def test_fireflow_finds_the_inversion_of_multi_turn(runs: dict[str, tuple[RunFolder, int]]) -> None:
    run = runs["shared"][0]
    shared = {(r.label.partition("-")[0], r.turn): r.shared for r in records(run) if r.case == "lw-000"}
    # FireFlow stores values in the interval next to the noise, whose one evaluation it has to see for itself.
    assert shared["fireflow", 1] == evaluations(ReusedMidpoint(), STEPS) - 1
    assert shared["multi_turn", 1] == shared["multi_turn", 2] == 0
    assert shared["fireflow", 2] == 0, "their results of turn 1 differ"
