from __future__ import annotations

import pytest

from undrift.bench.runner.lists import ABLATIONS, named_lists
from undrift.bench.runner.methods import method_of, specs, split_words
from undrift.errors import InputError
from undrift.methods import registry
from undrift.methods.multi_turn import PAPER

TUNED = {"multi_turn": {"gain": 0.25}}


def test_a_word_names_method_preset_parameters_and_label() -> None:
    plain, preset, changed, named = specs(
        ["multi_turn", "multi_turn:paper", "multi_turn:paper:steps=3;ranks=[0,5]", "no_edit::label=floor"], TUNED
    )
    assert (plain.label, plain.preset, plain.params["gain"]) == ("multi_turn", "default", 0.25)
    assert (preset.label, preset.preset) == ("multi_turn-paper", "paper")
    assert preset.params == PAPER.model_dump(mode="json")
    assert (changed.label, changed.preset) == ("multi_turn-paper-steps-3-ranks-_0_5", "custom")
    assert (changed.params["steps"], changed.params["ranks"]) == (3, [0, 5])
    assert (named.label, named.preset) == ("floor", "default")


@pytest.mark.parametrize("name", named_lists())
def test_every_list_resolves_to_methods_that_are_what_was_specified(name: str) -> None:
    found = specs([name], TUNED)
    for spec in found:
        assert method_of(spec).params.model_dump(mode="json") == spec.params


def test_all_is_every_method() -> None:
    own = [spec.method for spec in specs(["all"], {}) if not spec.oracle]
    assert own == [name for name in registry.all_methods() if name not in ("instruct", "repaint")], (
        "an editor by instructions has a model of its own, which has to be named, and repaint draws a region"
    )


def test_table2_changes_one_thing_per_row() -> None:
    rows = {spec.label: spec.params for spec in specs(["table2"], {})}
    paper = PAPER.model_dump(mode="json")
    changed = {label: {k: v for k, v in rows[label].items() if v != paper[k]} for label in ABLATIONS}
    assert changed == {
        "single-objective": {"previous_weight": 1.0},
        "high-activation": {"ranks": [0, 5]},
        "no-attention": {"highlight": False},
        "full": {},
    }


def test_each_row_of_the_pieces_leaves_one_of_undrift_s_out_or_has_it_alone() -> None:
    rows = {spec.label: spec.params for spec in specs(["pieces"], {}) if spec.method == "undrift"}
    whole = rows.pop("whole")
    changed = {label: {k for k, v in params.items() if v != whole[k]} for label, params in rows.items()}
    assert changed == {
        "early-start": {"skipped", "addition_skipped"},
        "one-start": {"addition_skipped"},
        "no-closing": set(),  # FLUX.1's default has none; LittleWorld's has.
        "all-pixels": {"weak", "strong"},
        "edited-latent": {"anew"},
        "none": {"skipped", "addition_skipped", "weak", "strong", "anew"},
        "only-start": {"weak", "strong", "anew"},
        "only-closing": {"skipped", "addition_skipped", "weak", "strong", "anew"},
        "only-pixels": {"skipped", "addition_skipped"},
        "unequal-guidance": {"map_steps"},
        "unequal-guidance-map": set(),  # FLUX.1's default, not LittleWorld's.
    }


@pytest.mark.parametrize("name", named_lists())
def test_every_table_has_the_floor_and_the_oracle(name: str) -> None:
    found = {spec.label: spec for spec in specs([name], {})}
    assert found["no_edit"].method == "no_edit"
    assert (found["flowedit-oracle"].oracle, found["flowedit-oracle"].preset) == (True, "default")
    assert [label for label, spec in found.items() if spec.oracle] == ["flowedit-oracle"]


def test_where_no_mask_is_known_a_list_has_no_oracle_and_a_word_that_asks_for_one_is_refused() -> None:
    assert not any(spec.oracle for spec in specs(["table1"], {}, masks=False))
    with pytest.raises(InputError, match="'flowedit::oracle=true' is told true masks, and this suite does not know"):
        specs(["no_edit", "flowedit::oracle=true"], {}, masks=False)


def test_commas_in_brackets_belong_to_a_value() -> None:
    assert split_words("a::ranks=[0,5];x=1, b ,c:d") == ["a::ranks=[0,5];x=1", "b", "c:d"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["multi_trun"], "no method 'multi_trun': did you mean 'multi_turn'?"),
        (["multi_turn:papr"], "no preset of multi_turn 'papr': did you mean 'paper'?"),
        (["multi_turn::stepz=3"], "no parameter named 'stepz', expected one of: steps,"),
        (["multi_turn::steps"], "'steps' in method 'multi_turn::steps': expected NAME:PRESET:PARAMETER=VALUE"),
        (["no_edit::label=../x"], "label '../x' cannot name a folder: use letters, digits"),
        (["no_edit::oracle=yes"], "oracle=yes in method 'no_edit::oracle=yes': expected true or false"),
        (["no_edit", "fireflow::label=no_edit"], "two methods are called 'no_edit': give one another name"),
        ([], "no method to run: name methods or one of the lists all, table1, table1-sd, table2, pieces, bounds"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        specs(words, {})
    assert str(error.value).startswith(message)
