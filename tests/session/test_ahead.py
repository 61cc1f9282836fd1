"""Half of the next turn is computed while somebody looks, and nothing tells the turn from one that it was not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.session.test_engine import files_of
from tests.support.toy import ToyBackbone, ToyMethod
from undrift.backbones import Backbone
from undrift.backbones.base import Latent
from undrift.errors import Cancelled, InputError
from undrift.flow import Observer, StepEnd
from undrift.methods.base import EditMethod
from undrift.methods.registry import get
from undrift.session.ahead import Ahead, Meanwhile, prepare
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.model import Turn
from undrift.session.next_turn import candidate_plans
from undrift.session.seeds import MOST_KNOWN, SEEDS, Seeds
from undrift.session.store import Session

NEXT = "a cat with a red hat"


@pytest.fixture
def model(tiny_flux: Backbone) -> Iterator[Backbone]:
    """The tiny model; what it remembers is forgotten after the test."""
    with tiny_flux.remembering(None):
        yield tiny_flux


@pytest.fixture
def method() -> EditMethod:
    return get("flowedit", overrides={"steps": 4, "n_max": 3})


def sessions(folder: Path, model: Backbone) -> tuple[Session, Session]:
    """Two of the same picture."""
    picture = Image.linear_gradient("L").resize((40, 24)).convert("RGB")
    one, other = (start_session(folder / name, picture, "a cat", model) for name in ("one", "other"))
    return one, other


def test_a_turn_is_the_same_file_for_file_and_its_record_tells_the_evaluations_apart(
    tmp_path: Path, model: Backbone, method: EditMethod
) -> None:
    prepared, plain = sessions(tmp_path, model)
    expected = run_turn(plain, model, method, EditPlan(NEXT, seed=7))
    before = model.counter.copy()
    assert prepare(prepared, model, method, seed=7) == 3
    assert model.counter.since(before).evaluations == 3
    made = run_turn(prepared, model, method, EditPlan(NEXT, seed=7))
    assert (made.id, files_of(prepared, made)) == (expected.id, files_of(plain, expected))
    assert (made.evaluations, made.remembered) == (6, 3)
    assert (expected.evaluations, expected.remembered) == (6, None)
    assert made.cost.startswith("6 evaluations, 3 of them ahead, ")
    assert expected.cost.startswith("6 evaluations, ")
    assert "ahead" not in expected.cost
    assert Session.open(prepared.folder).turn("head").remembered == 3
    assert "remembered" not in expected.model_dump()


def test_a_turn_that_names_no_seed_has_the_one_that_was_prepared_for_it(
    tmp_path: Path, model: Backbone, method: EditMethod
) -> None:
    session, _ = sessions(tmp_path, model)
    prepare(session, model, method)
    first, second = (run_turn(session, model, method, EditPlan(NEXT, parent="original")) for _ in range(2))
    assert (first.remembered, second.remembered) == (3, None)
    assert seed_of(first) != seed_of(second)
    prepare(session, model, method, "original")
    of_three = candidate_plans(session.tree(), method, EditPlan(NEXT, parent="original"), 3)
    made = [run_turn(session, model, variant, plan) for variant, plan in of_three]
    assert [turn.remembered for turn in made] == [3, None, None]


def seed_of(turn: Turn) -> int:
    assert turn.spec is not None
    return turn.spec.seed


def test_the_usual_method_is_that_of_the_turn_before(tmp_path: Path, model: Backbone) -> None:
    session, _ = sessions(tmp_path, model)
    run_turn(session, model, get("fireflow", overrides={"steps": 2}), EditPlan("a red cat"))
    usual = get("fireflow")
    ahead = prepare(session, model)
    made = run_turn(session, model, usual, EditPlan(NEXT))
    assert ahead > 0
    assert made.remembered == ahead


class Stop(Observer):
    """Cancels after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def end(self, event: StepEnd) -> None:
        self.left -= 1
        if not self.left:
            raise Cancelled("something else came")


def test_what_is_cancelled_leaves_no_trace_and_what_was_computed_counts(
    tmp_path: Path, model: Backbone, method: EditMethod
) -> None:
    session, plain = sessions(tmp_path, model)
    files = sorted(path.name for path in session.folder.rglob("*"))
    with pytest.raises(Cancelled):
        prepare(session, model, method, seed=7, observers=[Stop(2)])
    assert sorted(path.name for path in session.folder.rglob("*")) == files
    assert (len(session.turns()), session.unfinished(), model.taps) == (1, (), ())
    made = run_turn(session, model, method, EditPlan(NEXT, seed=7))
    assert made.remembered == 2
    assert files_of(session, made) == files_of(plain, run_turn(plain, model, method, EditPlan(NEXT, seed=7)))


def test_a_backbone_that_was_given_a_memory_keeps_it(tmp_path: Path, model: Backbone, method: EditMethod) -> None:
    session, _ = sessions(tmp_path, model)
    prepare(session, model, method)
    memory = model.memory
    assert memory is not None
    assert memory.held == 3 * model.state_bytes(model.geometry((40, 24)))
    assert prepare(session, model, method) == 0, "it is known already"
    assert model.memory is memory


def test_nothing_is_known_of_a_method_that_asks_for_the_target_alone(session: Session, backbone: ToyBackbone) -> None:
    assert prepare(session, backbone, ToyMethod()) == 0
    assert prepare(session, backbone, get("no_edit")) == 0


def test_an_editor_by_instructions_is_not_asked(session: Session, backbone: ToyBackbone) -> None:
    assert get("instruct", overrides={"editor": "nobody/has-this"}).rehearsed() is None
    with pytest.raises(InputError, match="method 'instruct' needs an editor"):
        prepare(session, backbone, get("instruct"))


def test_under_a_step_cache_nothing_is_computed(session: Session) -> None:
    class Cached(ToyBackbone):
        repeatable = False

        def decode(self, latent: Latent) -> list[Image.Image]:
            raise AssertionError("asked for nothing")

    assert prepare(session, Cached(), get("flowedit")) == 0


def test_a_turn_that_is_not_there_is_refused(session: Session, backbone: ToyBackbone) -> None:
    with pytest.raises(InputError, match="nowhere"):
        prepare(session, backbone, ToyMethod(), "nowhere")


def test_a_seed_that_was_looked_at_is_drawn_once() -> None:
    seeds = Seeds()
    coming = seeds.coming("a")
    assert seeds.coming("a") == coming
    assert seeds.drawn("a") == coming
    drawn = [seeds.drawn("a") for _ in range(8)]
    assert len({coming, *drawn}) == 9
    assert all(0 <= seed < SEEDS for seed in drawn)


def test_only_the_seeds_that_were_looked_at_last_are_remembered() -> None:
    seeds = Seeds()
    coming = {str(number): seeds.coming(str(number)) for number in range(MOST_KNOWN + 1)}
    assert seeds.drawn("1") == coming["1"]
    assert seeds.drawn("0") != coming["0"]


def test_what_is_expected_is_prepared_once(tmp_path: Path, model: Backbone, method: EditMethod) -> None:
    session, _ = sessions(tmp_path, model)
    ahead, checked = Ahead(), []
    ahead.expect(session, model, method)
    assert ahead.due
    before = model.counter.copy()
    for _ in range(2):
        ahead.work(lambda: checked.append(1))
        assert not ahead.due
    assert model.counter.since(before).evaluations == 3
    assert len(checked) > 3, "before every layer, not only before every step"
    assert run_turn(session, model, method, EditPlan(NEXT)).remembered == 3


def test_whoever_wants_the_model_stops_the_preparation_and_may_forget_what_was_expected(
    tmp_path: Path, model: Backbone, method: EditMethod
) -> None:
    def wanted() -> None:
        raise Cancelled("a job came")

    session, _ = sessions(tmp_path, model)
    ahead, before = Ahead(), model.counter.copy()
    ahead.expect(session, model, method)
    ahead.work(wanted)
    ahead.expect(session, model, method)
    ahead.forget()
    ahead.work(lambda: None)
    assert model.counter.since(before).evaluations == 0


def test_what_cannot_be_prepared_is_logged_and_nobody_is_bothered(
    session: Session, backbone: ToyBackbone, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="undrift.session.ahead")
    ahead = Ahead()
    ahead.expect(session, backbone, get("instruct"))
    ahead.work(lambda: None)
    assert f"nothing could be computed ahead for {session.folder}" in caplog.text


def test_a_thread_of_its_own_prepares_and_whoever_works_does_not_wait(tmp_path: Path, model: Backbone) -> None:
    prepared, plain = sessions(tmp_path, model)
    usual = get("flowedit")
    for session in (prepared, plain):
        run_turn(session, model, usual, EditPlan("a dog", seed=3))
    meanwhile = Meanwhile()
    try:
        meanwhile.expect(prepared, model)
        meanwhile.settle()
        with meanwhile.working():
            made = run_turn(prepared, model, usual, EditPlan(NEXT))
            assert made.evaluations == 2 * (made.remembered or 0)
            meanwhile.expect(prepared, model)
            before = model.counter.evaluations
        meanwhile.settle()
        assert model.counter.evaluations == before + made.evaluations // 2, "it has waited for the model"
    finally:
        meanwhile.close()
    meanwhile.expect(prepared, model)
    meanwhile.settle()
    assert model.counter.evaluations == before + made.evaluations // 2, "it is closed"
    with model.remembering(None):
        expected = run_turn(plain, model, usual, EditPlan(NEXT, seed=seed_of(made)))
    assert files_of(prepared, made) == files_of(plain, expected)


def test_somebody_who_works_cuts_short_what_is_prepared(tmp_path: Path, model: Backbone) -> None:
    session, _ = sessions(tmp_path, model)
    meanwhile, begun, seen = Meanwhile(), threading.Event(), []

    class Endless(Ahead):
        def work(self, check: Callable[[], None]) -> None:
            self.forget()
            begun.set()
            try:
                while True:
                    check()
            except Cancelled:
                seen.append("cut short")

    meanwhile._ahead = Endless()
    meanwhile.expect(session, model)
    assert begun.wait(20)
    with meanwhile.working():
        assert seen == ["cut short"]
    meanwhile.close()
