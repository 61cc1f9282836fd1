from __future__ import annotations

import numpy as np
import pytest

from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.littleworld import DrawnCase, LittleWorldCase, ReconstructCase
from undrift.bench.suites.registry import all_suites, open_suite
from undrift.errors import InputError
from undrift.littleworld.edits import RICH_EDIT_TYPES

VARIANTS = ("standard", "ten", "long", "reconstruct", "no-op", "cycle", "rich")


def cases_of(variant: str, limit: int | None = None, turns: int | None = None) -> list[DrawnCase]:
    cases = open_suite(SuiteSpec(name="littleworld", variant=variant, limit=limit, turns=turns))
    assert all(isinstance(case, DrawnCase) for case in cases)
    return cases  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("variant", "count", "turns"),
    [
        ("quick", 8, 4),
        ("standard", 64, 5),
        ("default", 64, 5),
        ("ten", 64, 10),
        ("long", 24, 20),
        ("reconstruct", 16, 16),
        ("no-op", 16, 10),
        ("cycle", 16, 20),
        ("rich", 64, 5),
    ],
)
def test_sizes(variant: str, count: int, turns: int) -> None:
    cases = cases_of(variant)
    assert [case.turns for case in cases] == [turns] * count
    assert len({case.id for case in cases}) == count
    assert all(len(case.scenes) == turns + 1 for case in cases)
    assert set(all_suites()["littleworld"].variants) >= {variant}


def test_the_same_every_time_and_no_variant_has_anothers_pictures() -> None:
    assert [case.scenes for case in cases_of("quick")] == [case.scenes for case in cases_of("quick")]
    originals = [{case.scenes[0] for case in cases_of(name)} for name in VARIANTS]
    assert len(set.union(*originals)) == sum(map(len, originals)) == 64 + 64 + 24 + 16 + 16 + 16 + 64


def test_an_edit_is_right_where_its_mask_is_and_nowhere_else() -> None:
    case = cases_of("long", limit=1)[0]
    assert isinstance(case, LittleWorldCase)
    pictures = [np.asarray(case.truth(turn)) for turn in range(case.turns + 1)]
    assert np.array_equal(pictures[0], np.asarray(case.original()))
    for turn in range(1, case.turns + 1):
        changed = (pictures[turn] != pictures[turn - 1]).any(axis=-1)
        assert np.array_equal(changed, case.mask(turn))
        assert np.array_equal((pictures[turn] != pictures[0]).any(axis=-1), case.mask_since_original(turn))


def test_the_prompts_of_a_sequence_lead_on_from_each_other() -> None:
    for case in cases_of("long"):
        prompts = [case.tasks[0].source_prompt, *(task.target_prompt for task in case.tasks)]
        assert [task.source_prompt for task in case.tasks] == prompts[:-1]


def test_the_rich_suite_has_each_of_its_types_of_edit_about_as_often() -> None:
    types = [task.edit_type for case in cases_of("rich") for task in case.tasks]
    # 320 turns of 8 types: 40 each; four standard errors of a binomial count are 24.
    assert set(types) == set(RICH_EDIT_TYPES)
    assert all(abs(types.count(name) - 40) <= 24 for name in RICH_EDIT_TYPES)


def test_a_reconstruction_asks_for_the_original_and_changes_nothing() -> None:
    for case in cases_of("reconstruct"):
        assert isinstance(case, ReconstructCase)
        assert {(t.source_prompt, t.target_prompt) for t in case.tasks} == {(case.tasks[0].source_prompt,) * 2}
        assert case.truth(16).tobytes() == case.original().tobytes()
        assert not case.mask(16).any()
        assert not case.mask_since_original(16).any()
    assert len({case.tasks[0].source_prompt for case in cases_of("reconstruct")}) > 12


def test_a_cycle_makes_one_edit_and_takes_it_back_again_and_again() -> None:
    for case in cases_of("cycle"):
        assert isinstance(case, LittleWorldCase)
        there, back = case.tasks[:2]
        assert (there.source_prompt, there.target_prompt) == (back.target_prompt, back.source_prompt)
        assert case.tasks == (there, back) * 10
        assert case.truth(20).tobytes() == case.original().tobytes() != case.truth(19).tobytes()
        assert not case.mask_since_original(20).any()
        assert np.array_equal(case.mask_since_original(19), case.mask(20))
        assert case.mask(20).any()


def test_limit_and_turns() -> None:
    cases = cases_of("reconstruct", limit=3, turns=8)
    assert [case.turns for case in cases] == [8, 8, 8]


def test_unknown_variant() -> None:
    with pytest.raises(InputError, match="no variant of littleworld 'quik': did you mean 'quick'"):
        open_suite(SuiteSpec(name="littleworld", variant="quik"))
