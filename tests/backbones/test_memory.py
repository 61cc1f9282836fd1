"""The same question is not asked of a network twice, and nobody can tell from the answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.bench.runner.support import counted
from tests.contracts.test_methods import RUNNING, quick, request
from tests.support.slow_cases import REPRESENTATIVE, slow_but_for
from tests.support.small_joint import SmallJoint
from tests.support.tiny_sd import tiny_sd
from undrift.attention.taps import AttentionTap
from undrift.backbones import Backbone
from undrift.backbones.memory import VelocityMemory


@pytest.fixture
def remembering(tiny_flux: Backbone) -> Iterator[Backbone]:
    """The tiny model with a memory, empty at first and gone after the test."""
    with tiny_flux.remembering(VelocityMemory()):
        yield tiny_flux


@pytest.mark.parametrize("name", slow_but_for(REPRESENTATIVE, RUNNING))
def test_every_method_run_twice_gives_the_same_bits(name: str, tiny_flux: Backbone) -> None:
    model: Backbone = tiny_sd() if name == "null_text" else tiny_flux
    asked = request(model, 1, 2)
    plain = quick(name).edit(model, asked)
    with model.remembering(VelocityMemory()):
        first, again = quick(name).edit(model, asked), quick(name).edit(model, asked)
    # These pass values on in every one of so few steps: they have nothing that can be shared.
    assert (again.remembered > 0) == (name not in ("rf_solver", "direct_edit"))
    assert plain.remembered == 0
    assert torch.equal(plain.latent.packed, first.latent.packed)
    assert torch.equal(plain.latent.packed, again.latent.packed)
    assert plain.evaluations == first.evaluations == again.evaluations


def test_other_prompts_guidance_or_sigma_are_other_questions(remembering: Backbone) -> None:
    latent, before = request(remembering, 1).previous, remembering.counter.copy()
    x = latent.packed
    for prompt, guidance, sigma in (
        ("a cat", 1.0, 0.5),
        ("a dog", 1.0, 0.5),
        ("a cat", 2.0, 0.5),
        ("a cat", 1.0, 0.4),
    ):
        field = remembering.velocity_field(remembering.embed([prompt]), latent.geometry, guidance)
        found = field(x, sigma)
        assert remembering.counter.since(before).remembered == 0
        with remembering.remembering(None):
            assert torch.equal(found, field(x, sigma))
    assert torch.equal(field(x.clone(), 0.4), found)
    assert remembering.counter.since(before).remembered == 1


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
def test_a_tap_hears_of_every_evaluation_and_prevents_remembering_while_at_work(
    remembering: Backbone, idle: bool
) -> None:
    tap, latent = Watching(idle), request(remembering, 1).previous
    field = remembering.velocity_field(remembering.embed(["a cat"]), latent.geometry, 1.0)
    expected, before = field(latent.packed, 0.5), remembering.counter.copy()
    with counted(remembering) as calls, remembering.tapped(tap):
        assert torch.equal(field(latent.packed, 0.5), expected)
    spent = remembering.counter.since(before)
    assert (tap.announced, spent.remembered, len(calls)) == ([0.5], int(idle), int(not idle))


def test_an_answer_from_memory_counts_as_what_the_network_would_have_been_asked() -> None:
    model, asked = SmallJoint(), []
    model.memory = VelocityMemory()
    latent = request(model, 1, 2).previous
    model._network.register_forward_pre_hook(lambda *_: asked.append(1))
    prompts, blue = model.embed(["a cat", "a dog"]), model.embed(["a blue cat", "a blue dog"])
    first, again = (model.velocity_field(prompts, latent.geometry, 3.0)(latent.packed, 0.5) for _ in range(2))
    assert torch.equal(first, again)
    assert (len(asked), model.counter.remembered, model.counter.computed) == (2, 2, 2)
    assert (model.counter.evaluations, model.counter.rows) == (4, 8)
    other = model.velocity_field(prompts, latent.geometry, 3.0, blue)(latent.packed, 0.5)
    assert len(asked) == 4, "another negative prompt is another question"
    assert not torch.equal(first, other)


def test_what_is_taken_from_memory_may_be_changed_in_place(remembering: Backbone) -> None:
    latent = request(remembering, 1).previous
    field = remembering.velocity_field(remembering.embed(["a cat"]), latent.geometry, 1.0)
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
    assert memory.held == 80
