"""What no prompt decides is computed before there is one, and the turn is the same to the bit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
import torch

from tests.contracts.test_methods import RUNNING, picture, quick, request
from tests.support.slow_cases import REPRESENTATIVE, slow_but_for
from tests.support.tiny_sd import tiny_sd
from undrift.backbones import Backbone
from undrift.backbones.memory import VelocityMemory
from undrift.backbones.rehearsal import UNKNOWN, Rehearsal, RehearsalOver
from undrift.methods.base import EditMethod, EditRequest
from undrift.methods.registry import get

PASSES_VALUES_ON = {"rf_solver", "direct_edit"}
"""In every one of so few steps: these have to see their evaluations for themselves."""


def rehearse(method: EditMethod, model: Backbone, asked: EditRequest) -> int:
    """Evaluations that were computed for ``asked`` before its prompt is known."""
    rehearsed, before = method.rehearsed(), model.counter.copy()
    assert rehearsed is not None
    with suppress(RehearsalOver):
        rehearsed.edit(Rehearsal(model, asked.source_prompts[0]), replace(asked, target_prompts=[UNKNOWN]))
    return model.counter.since(before).computed


REHEARSED = [name for name in RUNNING if not get(name).redraws]
"""A method that draws from the prompt alone asks nothing before it is known."""


@pytest.mark.parametrize("name", slow_but_for(REPRESENTATIVE, REHEARSED))
def test_every_method_is_the_same_to_the_bit_with_and_without(name: str, tiny_flux: Backbone) -> None:
    model: Backbone = tiny_sd() if name == "null_text" else tiny_flux
    method, asked = quick(name), request(model, 1)
    plain = method.edit(model, asked)
    with model.remembering(VelocityMemory()):
        ahead = rehearse(method, model, asked)
        made = method.edit(model, asked)
    assert torch.equal(made.latent.packed, plain.latent.packed)
    assert (made.images or [])[:1] == (plain.images or [])[:1]
    assert made.evaluations == plain.evaluations
    assert ahead <= made.remembered, "nothing is computed that this turn does not ask"
    assert (ahead > 0) == (name not in PASSES_VALUES_ON)
    assert model.taps == ()


@pytest.mark.parametrize(
    ("name", "overrides", "ahead", "after"),
    [
        ("multi_turn", {"steps": 8}, 9, 9),
        ("flowedit", {"steps": 6, "n_max": 5}, 5, 5),
        ("undrift", {"steps": 6, "map_steps": 3}, 3 + 6, 3 + 6),
        ("fireflow", {"steps": 8}, 8, 10),
    ],
)
def test_half_of_a_turn_is_known_before_its_prompt(
    name: str, overrides: dict[str, int], ahead: int, after: int, tiny_flux: Backbone
) -> None:
    method, asked = get(name, overrides=overrides), request(tiny_flux, 1)
    with tiny_flux.remembering(VelocityMemory()):
        assert rehearse(method, tiny_flux, asked) >= ahead
        made = method.edit(tiny_flux, asked)
    assert (made.remembered, made.evaluations - made.remembered) == (ahead, after)


def test_any_words_find_the_source_whatever_they_say(tiny_flux: Backbone) -> None:
    """Additions begin earlier than other edits, and edits of the whole picture have no map."""
    method = get("undrift", overrides={"steps": 10, "map_steps": 2})
    said = ("a dog sitting on the grass", "a cat with a red hat sitting on the grass", "a cat in the snow")
    asked, found = request(tiny_flux, 1), []
    for words in said:
        with tiny_flux.remembering(VelocityMemory()):
            rehearse(method, tiny_flux, asked)
            made = method.edit(tiny_flux, replace(asked, target_prompts=[words]))
        found.append((made.evaluations, 2 * made.remembered))
    assert all(evaluations == twice for evaluations, twice in found)
    assert len(set(found)) > 1, "they are told apart, or this compares one kind with itself"


def test_another_seed_finds_nothing_of_what_has_its_noise(tiny_flux: Backbone) -> None:
    method, asked = quick("flowedit"), request(tiny_flux, 1)
    with tiny_flux.remembering(VelocityMemory()):
        rehearse(method, tiny_flux, replace(asked, seeds=[2]))
        assert method.edit(tiny_flux, asked).remembered == 0


def test_no_more_is_computed_than_half_of_the_memory_holds(tiny_flux: Backbone) -> None:
    method, asked = get("multi_turn", overrides={"steps": 8}), request(tiny_flux, 1)
    one = asked.previous.packed.nbytes
    with tiny_flux.remembering(VelocityMemory(2 * 3 * one)):
        assert rehearse(method, tiny_flux, asked) == 3
        assert method.edit(tiny_flux, asked).remembered == 3
    assert rehearse(method, tiny_flux, asked) == 0, "without a memory nothing is"


def test_nothing_of_the_unknown_reaches_the_network(tiny_flux: Backbone) -> None:
    rehearsal, latent = Rehearsal(tiny_flux, "a cat"), request(tiny_flux, 1).previous
    before = tiny_flux.counter.copy()
    with tiny_flux.remembering(VelocityMemory()):
        known = Rehearsal(tiny_flux, "a cat").velocity_field(tiny_flux.embed(["a cat"]), latent.geometry, 1.0)
        unknown = rehearsal.velocity_field(rehearsal.embed([UNKNOWN]), latent.geometry, 1.0)
        led_astray = latent.packed + unknown(latent.packed, 0.5)
        assert led_astray.isnan().all()
        assert known(led_astray, 0.5).isnan().all()
        assert tiny_flux.counter.since(before).evaluations == 0
        assert not known(latent.packed, 0.5).isnan().any()
    asks: tuple[Callable[[], object], ...] = (
        lambda: rehearsal.decode(latent),
        lambda: rehearsal.encode([picture(1)]),
        lambda: rehearsal.evaluate(latent.packed, 0.5, {}),
    )
    for ask in asks:
        with pytest.raises(RehearsalOver):
            ask()
