"""Three hundred instructions with known answers, and sentences that are easily mistaken."""

from __future__ import annotations

import pytest

from tests.support.instructions import Case, cases

DEVELOPMENT, HELD_OUT, TRAPS = cases("development"), cases("held_out"), cases("traps")
EVERY = [*DEVELOPMENT, *HELD_OUT, *TRAPS]


@pytest.mark.parametrize("case", EVERY, ids=[case.name for case in EVERY])
def test_the_answer_is_the_known_one(case: Case) -> None:
    assert case.verdict() == "right"


def test_the_halves_have_the_sizes_that_the_figures_are_given_for() -> None:
    assert (len(DEVELOPMENT), len(HELD_OUT)) == (100, 200)
    assert sum(case.littleworld for case in HELD_OUT) == 120


def test_nothing_is_in_both_halves() -> None:
    known = {(case.say.lower(), case.caption) for case in DEVELOPMENT}
    shared = [case.name for case in HELD_OUT if (case.say.lower(), case.caption) in known]
    assert len(shared) <= 3, shared
