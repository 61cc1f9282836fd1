"""Beyond one turn: when a session says that it drifts, the way back, candidates, and sessions side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.toy import ToyBackbone, ToyMethod, ToyParams, toy_picture
from undrift.errors import InputError
from undrift.methods import registry
from undrift.session import drift
from undrift.session.engine import EditPlan, restore, run_turn, start_session
from undrift.session.model import DriftNumbers, Turn
from undrift.session.next_turn import candidate_plans, keep, last_method, rebase_plan
from undrift.session.store import Session


def drifted(turn: Turn, psnr: float | None, outside: float = 1.0) -> Turn:
    numbers = DriftNumbers(psnr=psnr, changed=0.25, outside=outside)
    return turn.model_copy(update={"drift_original": numbers, "number": 2})


def test_the_warning_has_one_threshold_and_says_what_to_do(session: Session) -> None:
    turn = session.original
    assert drift.warning(turn) is None, "an original has not drifted"
    assert drift.warning(drifted(turn, None)) is None
    assert drift.warning(drifted(turn, drift.WARN_BELOW)) is None
    warned = drift.warning(drifted(turn, drift.WARN_BELOW - 0.1))
    assert warned is not None
    assert warned.startswith(
        f"drift from the original is {drift.WARN_BELOW - 0.1:.1f} dB, 25.0 % changed: if that was not"
    )
    first = drifted(turn, 1.0).model_copy(update={"number": 1})
    assert drift.warning(first) is None, "it was made from the original"


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        (DriftNumbers(psnr=31.23, changed=0.004, outside=0.5), "31.2 dB, 0.4 % changed"),
        (DriftNumbers(psnr=None, changed=0.0, outside=0.5), "identical, 0.0 % changed"),
        (DriftNumbers(psnr=None, changed=0.0, outside=0.0), "everything is edited"),
    ],
)
def test_drift_in_words(numbers: DriftNumbers, text: str) -> None:
    assert numbers.text == text


def test_rebasing_starts_from_the_source_and_keeps_the_rest(session: Session, backbone: ToyBackbone) -> None:
    with pytest.raises(InputError, match="this is the original picture already: there is nothing to rebase"):
        rebase_plan(session.tree())
    for prompt in ("a dog", "a dog with a hat"):
        run_turn(session, backbone, ToyMethod(), EditPlan(prompt, seed=1))
    left = session.head
    turn = run_turn(session, backbone, ToyMethod(), rebase_plan(session.tree()))
    assert (turn.prompt, turn.number, turn.parent) == ("a dog with a hat", 1, session.original.id)
    assert turn.spec is not None
    assert turn.spec.source_prompt == "a cat"
    assert session.head == turn
    assert session.turn("main") == left, "the branch keeps the turns that were left"
    assert rebase_plan(session.tree(), "1").prompt == "a dog with a hat"


def test_the_next_turn_goes_on_with_method_and_preset(session: Session, backbone: ToyBackbone) -> None:
    assert last_method(session.tree(), session.original) == (registry.DEFAULT, "default")
    turn = run_turn(session, backbone, ToyMethod(), EditPlan("a dog", seed=1))
    assert last_method(session.tree(), turn) == (registry.DEFAULT, "default"), "a method that is not known here"


def test_parameters_hold_for_one_turn(
    session: Session, backbone: ToyBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "all_methods", lambda: {"toy": ToyMethod})
    turn = run_turn(session, backbone, registry.get("toy", "global"), EditPlan("a dog", seed=1))
    assert last_method(session.tree(), turn) == ("toy", "global")
    turn = run_turn(session, backbone, ToyMethod(ToyParams(steps=2)), EditPlan("a cow", seed=1))
    assert last_method(session.tree(), turn) == ("toy", "default")
    assert last_method(session.tree(), session.original) == (registry.DEFAULT, "default")


@pytest.mark.parametrize("plan", [EditPlan("a dog", seed=4), EditPlan("a dog", seed=4, parent="original")])
def test_candidates_stand_side_by_side(session: Session, backbone: ToyBackbone, plan: EditPlan) -> None:
    plans = candidate_plans(session.tree(), ToyMethod(), plan, 3)
    made = [run_turn(session, backbone, *pair) for pair in plans]
    assert session.head == made[0]
    assert session.tree().branch == "main"
    assert session.tree().children(session.original) == tuple(made)
    assert [turn.spec.seed for turn in made if turn.spec] == [4, 5, 6]
    assert keep(session, made[2].id) == session.head == made[2]
    assert (session.tree().branch, session.turn("main")) == ("main", made[2]), "the branch goes with what is kept"


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5])
def test_candidates_of_a_seed_that_is_none(session: Session, seed: Any) -> None:
    with pytest.raises(InputError, match=rf"seed is {seed}, expected 0 to 4294967295, or none to draw one"):
        candidate_plans(session.tree(), ToyMethod(), EditPlan("a dog", seed=seed), 2)


def test_candidates_record_where_the_dial_stood(session: Session, backbone: ToyBackbone) -> None:
    still = registry.get("multi_turn", overrides={"steps": 2, "highlight": False})
    plans = candidate_plans(session.tree(), still, EditPlan("a dog", seed=0), 3)
    assert [(method.preset, method.dial_value) for method, _ in plans] == [
        ("custom", value) for value in (0, -0.5, 0.5)
    ]
    dialled = registry.get("multi_turn", overrides={"steps": 2, "highlight": False}, dial=0.5)
    places = candidate_plans(session.tree(), dialled, EditPlan("a dog", seed=0), 4)
    assert [method.dial_value for method, _ in places] == [0.5, 0, -0.5, -1]
    assert places[2][0].params == plans[1][0].params, "a place of the dial is the same wherever the dial was before"
    usual = candidate_plans(session.tree(), registry.get("multi_turn"), EditPlan("a dog", seed=0), 2)
    assert [method.preset for method, _ in usual] == ["default", "custom"]
    turn = run_turn(session, backbone, registry.get("no_edit"), EditPlan("a dog"))
    assert turn.spec is not None
    assert (turn.spec.preset, turn.spec.dial) == ("default", 0.0)


def test_a_candidate_beside_a_branch_that_went_on_is_kept_without_it(session: Session, backbone: ToyBackbone) -> None:
    made = [
        run_turn(session, backbone, *pair)
        for pair in candidate_plans(session.tree(), ToyMethod(), EditPlan("a dog"), 2)
    ]
    later = run_turn(session, backbone, ToyMethod(), EditPlan("a cow"))
    assert keep(session, made[1].id) == session.head
    assert (session.tree().branch, session.turn("main")) == (None, later)


def test_threads_with_sessions_of_their_own_share_a_model(tmp_path: Path, backbone: ToyBackbone) -> None:
    half = Image.new("L", (40, 32), 0)
    half.paste(255, (0, 0, 20, 32))

    def work(name: str, seed: int) -> list[tuple[str, str]]:
        session = start_session(tmp_path / f"{name}-{seed}", toy_picture(), "a cat", backbone)
        for number in range(4):
            plan = EditPlan(f"turn {number}", seed=seed + number, region=half if number % 2 else None)
            run_turn(session, backbone, ToyMethod(), plan)
        restore(session, backbone, half)
        return [(turn.id, turn.image_hash) for turn in session.turns()]

    alone = [work("alone", seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(work, ["together"] * 4, range(4)))
    assert together == alone
