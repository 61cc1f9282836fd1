"""A method knows which preset it is, whatever way its parameters came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from undrift.backbones.flux_architecture import FLUX_1
from undrift.errors import InputError
from undrift.methods.base import CUSTOM
from undrift.methods.dial import can_turn, turned
from undrift.methods.multi_turn import PAPER, MultiTurn
from undrift.methods.registry import all_methods, choose, get, recorded

EVERY = [(name, preset) for name, method in all_methods().items() for preset in method.presets]
TUNED = {"multi_turn": {"guidance": 2.0}, "fireflow": {"guidance": 2.5}}


@pytest.mark.parametrize(("name", "preset"), EVERY)
def test_a_preset_is_known_until_something_changes(name: str, preset: str) -> None:
    method = get(name, preset)
    assert (method.preset, method.dial_value) == (preset, 0.0)
    same = dict(list(method.params.model_dump(mode="json").items())[:1])
    assert get(name, preset, same).preset == preset, "an override that overrides nothing"
    if can_turn(method):
        dialled = turned(method, -1.0)
        assert (dialled.preset, dialled.dial_value) == (CUSTOM, -1.0)


@pytest.mark.parametrize(("name", "preset"), EVERY)
def test_a_record_gives_the_same_method_back(name: str, preset: str) -> None:
    usual = get(name, preset, tuned=TUNED)
    for method in (usual, turned(usual, 0.5)) if can_turn(usual) else (usual,):
        written = json.loads(json.dumps(method.params.model_dump(mode="json")))
        again = recorded(name, written, method.preset, method.dial_value)
        assert (again.params, again.preset, again.dial_value) == (method.params, method.preset, method.dial_value)


def test_overrides_and_the_models_values() -> None:
    plain, suited = get("multi_turn"), get("multi_turn", tuned=TUNED)
    assert (plain.params.model_dump()["guidance"], plain.preset) == (3.5, "default")
    assert (suited.params.model_dump()["guidance"], suited.preset) == (2.0, "default")
    own = get("multi_turn", overrides={"guidance": 3.5}, tuned=TUNED)
    assert (own.params.model_dump()["guidance"], own.preset) == (3.5, CUSTOM)
    assert get("multi_turn", "paper", tuned=TUNED).params == PAPER, "only the default is tuned"
    declared = {**TUNED, "multi_turn:paper": {"guidance": 1.25}}
    assert get("multi_turn", "paper", tuned=declared).params == PAPER.updated({"guidance": 1.25})
    assert get("multi_turn", tuned=declared).params == suited.params
    assert get("multi_turn", overrides={"steps": 8}).preset == CUSTOM, "whatever preset it happens to equal"


def test_a_wrapper_is_custom_when_the_method_inside_is_another_one() -> None:
    usual = get("revert_unchanged", tuned=TUNED)
    assert usual.preset == "default"
    assert usual.params.model_dump()["method_params"]["guidance"] == 2.0, "nothing is left to the model"
    assert get("revert_unchanged", overrides={"guidance": 2.0}, tuned=TUNED).preset == "default"
    assert get("revert_unchanged", overrides={"method": "fireflow"}, tuned=TUNED).preset == CUSTOM


def test_parameters_given_by_hand_are_nobodys_preset() -> None:
    assert MultiTurn().preset == "default"
    assert MultiTurn(PAPER).preset == CUSTOM
    paper = get("multi_turn", "paper")
    assert paper.updated({"steps": 15}) is paper
    assert paper.updated({"steps": 16}).preset == CUSTOM


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("multi-turn",), "no method 'multi-turn': did you mean 'multi_turn'"),
        (("multi_turn", "papers"), "no preset of multi_turn 'papers': did you mean 'paper'"),
        (("multi_turn", "default", {"stesp": 3}), "no parameter named 'stesp', expected one of: steps"),
        (("multi_turn", "default", {"steps": 0}), "parameter steps=0: input should be greater than or equal to 1"),
        (("no_edit", "default", {}, 1.0), "method 'no_edit' has nothing that the dial turns here"),
    ],
)
def test_a_choice_is_refused_before_a_model_is_there(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose(*arguments)  # type: ignore[arg-type]


def test_a_choice_waits_for_its_model() -> None:
    chosen = choose("multi_turn", overrides={"steps": 5}, dial=1.0)
    assert chosen.fitted(TUNED).params == get("multi_turn", overrides={"steps": 5}, tuned=TUNED, dial=1.0).params


def test_a_preset_that_varies_the_default_takes_what_a_model_was_tuned_to_but_for_what_it_says_itself() -> None:
    tuned: dict[str, dict[str, Any]] = {
        "undrift": {"steps": 14, "skipped": 0.36, "addition_skipped": 0.29, "closing": 0.29, "map_steps": 0}
    }
    usual, fast = get("undrift", tuned=tuned), get("undrift", "fast", tuned=tuned)
    assert fast.params == usual.params.updated({"steps": 4})
    assert fast.preset == "fast"
    costs = [method.cost(FLUX_1).evaluations for method in (usual, fast)]
    assert costs == [16, 5], "those of an addition, which costs the most"
    declared = {**tuned, "undrift:fast": {"steps": 6}}
    assert get("undrift", "fast", tuned=declared).params == usual.params.updated({"steps": 6})
    assert get("undrift", "fast").params == get("undrift").params.updated({"steps": 4})


def test_variations_are_presets() -> None:
    for method in all_methods().values():
        assert set(method.variations) <= set(method.presets) - {"default"}
