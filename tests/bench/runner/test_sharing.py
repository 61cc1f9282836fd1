"""Evaluations that methods have in common are computed once, and nobody can tell from the pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.bench.runner.support import counted, hashes, job, order, records
from tests.contracts.test_methods import RUNNING, quick, request
from tests.support.slow_cases import slow_but_for
from tests.support.small_joint import SmallJoint
from tests.support.tiny_sd import tiny_sd
from undrift.attention.taps import AttentionTap
from undrift.backbones import Backbone
from undrift.bench.records import RunFolder
from undrift.bench.runner.sharing import SharingBackbone, VelocityMemory
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


@pytest.mark.parametrize("name", slow_but_for(set(RUNNING) - {"null_text"}, RUNNING))
def test_every_method_run_twice_gives_the_same_bits(name: str, tiny_flux: Backbone) -> None:
    model: Backbone = tiny_sd() if name == "null_text" else tiny_flux
    asked, sharing = request(model, 1, 2), SharingBackbone(model, VelocityMemory())
    plain = quick(name).edit(model, asked)
    first, again = quick(name).edit(sharing, asked), quick(name).edit(sharing, asked)
    # These pass values on in every one of so few steps: they have nothing that can be shared.
    assert (sharing.memory.taken > 0) == (name not in ("rf_solver", "direct_edit"))
    assert torch.equal(plain.latent.packed, first.latent.packed)
    assert torch.equal(plain.latent.packed, again.latent.packed)
    assert plain.evaluations == first.evaluations == again.evaluations


def test_other_prompts_guidance_or_sigma_are_other_questions(tiny_flux: Backbone) -> None:
    sharing = SharingBackbone(tiny_flux, VelocityMemory())
    latent = request(tiny_flux, 1).previous
    x = latent.packed
    for prompt, guidance, sigma in (
        ("a cat", 1.0, 0.5),
        ("a dog", 1.0, 0.5),
        ("a cat", 2.0, 0.5),
        ("a cat", 1.0, 0.4),
    ):
        field = sharing.velocity_field(sharing.embed([prompt]), latent.geometry, guidance)
        expected = tiny_flux.velocity_field(tiny_flux.embed([prompt]), latent.geometry, guidance)
        assert torch.equal(field(x, sigma), expected(x, sigma))
    assert sharing.memory.taken == 0
    assert torch.equal(field(x.clone(), 0.4), expected(x, 0.4))
    assert sharing.memory.taken == 1


class Watching(AttentionTap):
    """Hears of evaluations, and says whether it is at work."""

    def __init__(self, idle: bool) -> None:
        self._idle = idle
        self.announced: list[float] = []

    @property
    def idle(self) -> bool:
        return self._idle

    def evaluation(self, sigma: float) -> None:
        self.announced.append(sigma)


@pytest.mark.parametrize("idle", [True, False])
def test_a_tap_hears_of_every_evaluation_and_prevents_sharing_while_at_work(tiny_flux: Backbone, idle: bool) -> None:
    sharing, tap = SharingBackbone(tiny_flux, VelocityMemory()), Watching(idle)
    latent = request(tiny_flux, 1).previous
    field = sharing.velocity_field(sharing.embed(["a cat"]), latent.geometry, 1.0)
    expected = field(latent.packed, 0.5)
    with counted(tiny_flux) as calls, sharing.tapped(tap):
        assert torch.equal(field(latent.packed, 0.5), expected)
    assert (tap.announced, sharing.memory.taken, len(calls)) == ([0.5], int(idle), int(not idle))
    assert sharing.taps == ()


def test_an_answer_from_memory_counts_as_what_the_network_would_have_been_asked() -> None:
    model = SmallJoint()
    sharing = SharingBackbone(model, VelocityMemory())
    latent, asked = request(model, 1, 2).previous, []
    model._network.register_forward_pre_hook(lambda *_: asked.append(1))
    prompts, blue = sharing.embed(["a cat", "a dog"]), sharing.embed(["a blue cat", "a blue dog"])
    first, again = (sharing.velocity_field(prompts, latent.geometry, 3.0)(latent.packed, 0.5) for _ in range(2))
    assert torch.equal(first, again)
    assert (len(asked), sharing.memory.taken) == (2, 2)
    assert (sharing.counter.evaluations, sharing.counter.rows) == (4, 8)
    other = sharing.velocity_field(prompts, latent.geometry, 3.0, blue)(latent.packed, 0.5)
    assert len(asked) == 4, "another negative prompt is another question"
    assert not torch.equal(first, other)


def test_what_is_taken_from_memory_may_be_changed_in_place(tiny_flux: Backbone) -> None:
    sharing = SharingBackbone(tiny_flux, VelocityMemory())
    latent = request(tiny_flux, 1).previous
    field = sharing.velocity_field(sharing.embed(["a cat"]), latent.geometry, 1.0)
    first = field(latent.packed, 0.5)
    kept = first.clone()
    first.zero_()
    field(latent.packed, 0.5).zero_()
    assert torch.equal(field(latent.packed, 0.5), kept)


def test_memory_is_bounded_and_forgets_what_was_not_used_for_longest() -> None:
    memory = VelocityMemory(budget=2 * 40)
    for key in range(2):
        memory.put((key,), torch.full((10,), float(key)))
    assert memory.get((0,)) is not None
    memory.put((2,), torch.zeros(10))
    memory.put((2,), torch.zeros(10))
    assert [memory.get((key,)) is not None for key in range(3)] == [True, False, True]
