"""Candidates that are made as one batch are those that are made alone, but for rounding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from torch import Tensor

from tests.contracts.test_methods import quick
from tests.support.closeness import assert_rounded
from tests.support.tiny_flux import OPERATIONS
from tests.support.toy import ToyBackbone, ToyMethod, ToyParams, toy_picture
from undrift.backbones import Backbone
from undrift.backbones.base import NetworkInputs
from undrift.backbones.counter import Counter
from undrift.errors import Cancelled, InputError, OutOfMemory
from undrift.flow import Observer, Step, StepEnd
from undrift.methods.dial import turned
from undrift.session import latents
from undrift.session.engine import EditPlan, run_together, run_turn, start_session
from undrift.session.model import Turn
from undrift.session.next_turn import candidate_plans
from undrift.session.preview import Preview
from undrift.session.references import Look
from undrift.session.spent import Spent
from undrift.session.store import Session
from undrift.session.together import Watcher

NEXT = "a cat with a red hat"
PICTURE = Image.linear_gradient("L").resize((40, 24)).convert("RGB")


def seeded(*seeds: int, plan: EditPlan | None = None) -> list[EditPlan]:
    plan = plan or EditPlan(NEXT, parent="original")
    return [replace(plan, seed=seed, move_head=number == 0) for number, seed in enumerate(seeds)]


def latent_of(session: Session, turn: Turn, backbone: Backbone) -> Tensor:
    data = session.latent(turn)
    assert data is not None
    return latents.from_bytes(data, backbone).latent.packed


@pytest.mark.parametrize("name", ["flowedit", "multi_turn"])
def test_a_batch_is_its_candidates_made_alone(name: str, tmp_path: Path, tiny_flux: Backbone) -> None:
    method = quick(name)
    session = start_session(tmp_path / "session", PICTURE, "a cat", tiny_flux)
    region = Image.new("L", PICTURE.size, 0)
    region.paste(255, (0, 0, 24, 24))
    looks = (Look(PICTURE.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 0.5),) if name == "multi_turn" else ()
    plans = seeded(1, 2, 3, plan=EditPlan(NEXT, parent="original", region=region, references=looks))
    alone = [run_turn(session, tiny_flux, method, plan) for plan in plans]
    before = tiny_flux.counter.copy()
    made = run_together(session, tiny_flux, method, plans)
    spent = tiny_flux.counter.since(before)
    assert (spent.evaluations, spent.rows) == (alone[0].evaluations, 3 * alone[0].sample_evaluations)
    for one, other in zip(made, alone, strict=True):
        found, expected = (latent_of(session, turn, tiny_flux) for turn in (one, other))
        assert_rounded(found, expected, OPERATIONS * one.evaluations)
        assert (one.evaluations, one.sample_evaluations) == (other.evaluations, other.sample_evaluations)
        assert one.spec is not None
        assert other.spec is not None
        assert (one.spec.together, other.spec.together) == (3, None)
        assert replace_together(one) == other.spec.model_dump()
    different = {turn.latent_hash for turn in made}
    assert len(different) == 3, "each has the noise of its own seed"


def replace_together(turn: Turn) -> dict[str, object]:
    assert turn.spec is not None
    return turn.spec.model_copy(update={"together": None}).model_dump()


def test_the_head_goes_to_the_first_and_the_others_stay_beside_it(session: Session, backbone: ToyBackbone) -> None:
    plans = [plan for _, plan in candidate_plans(session.tree(), ToyMethod(), EditPlan(NEXT), 3)]
    made = run_together(session, backbone, ToyMethod(), plans)
    assert session.head == made[0]
    assert {turn.parent for turn in made} == {session.original.id}
    seeds = [turn.spec.seed for turn in made if turn.spec is not None]
    assert seeds == [plan.seed for plan in plans]
    drawn = run_together(session, backbone, ToyMethod(), [EditPlan(NEXT), EditPlan(NEXT)])
    assert len({turn.spec.seed for turn in drawn if turn.spec is not None}) == 2


def test_plans_that_ask_for_something_else_are_refused(session: Session, backbone: ToyBackbone) -> None:
    for plans in ([], [EditPlan("one"), EditPlan("two")]):
        with pytest.raises(InputError, match="made together differ in their seeds and methods alone"):
            run_together(session, backbone, ToyMethod(), plans)
    with pytest.raises(InputError, match="1 methods for 2 plans, expected one of all, or one per plan"):
        run_together(session, backbone, [ToyMethod()], seeded(1, 2))
    with pytest.raises(InputError, match="seed is -1"):
        run_together(session, backbone, ToyMethod(), seeded(1, -1))
    assert (len(session.turns()), session.unfinished()) == (1, ())


class Small(ToyBackbone):
    """A device with room for so many pictures at once."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room, self.batches = room, [0]

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        if len(x) > self.room:
            raise OutOfMemory("the memory of toy is too small")
        if self.batches[-1] != len(x):
            self.batches.append(len(x))
        return super().network(x, sigma, inputs)


def test_what_does_not_fit_is_made_in_halves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = Small(2)
    session = start_session(tmp_path / "session", toy_picture(), "a cat", model)
    made = run_together(session, model, ToyMethod(), seeded(1, 2, 3, 4, 5))
    assert [turn.spec.seed for turn in made if turn.spec is not None] == [1, 2, 3, 4, 5]
    assert [turn.spec.together for turn in made if turn.spec is not None] == [2, 2, None, 2, 2]
    assert session.head == made[0]
    assert "5 candidates at once do not fit the device: making them in two batches" in caplog.text
    with pytest.raises(OutOfMemory, match="the memory of toy is too small"):
        run_together(session, Small(0), ToyMethod(), seeded(6, 7))
    assert (len(session.turns()), session.unfinished()) == (6, ())


class Stop(Observer):
    def begin(self, step: Step) -> None:
        raise Cancelled("stopped")


def test_a_batch_that_is_cancelled_leaves_no_trace(session: Session, backbone: ToyBackbone) -> None:
    with pytest.raises(Cancelled):
        run_together(session, backbone, ToyMethod(), seeded(1, 2), [Stop()])
    assert (len(session.turns()), session.unfinished(), session.head) == (1, (), session.original)


class Notes(Watcher):
    """What a watcher hears: which candidates are rows of one state, and which are made, in order."""

    def __init__(self) -> None:
        self.rows: list[list[int]] = []
        self.turns: list[tuple[int, str]] = []

    def observers(self, numbers: Sequence[int], counter: Counter) -> Sequence[Observer]:
        self.rows.append(list(numbers))
        return ()

    def made(self, number: int, turn: Turn) -> None:
        self.turns.append((number, turn.id))


def test_methods_and_dials_beside_one_another_are_those_made_alone(tmp_path: Path, tiny_flux: Backbone) -> None:
    session = start_session(tmp_path / "session", PICTURE, "a cat", tiny_flux)
    flowedit, multi_turn = quick("flowedit"), quick("multi_turn")
    methods = [flowedit, flowedit, turned(flowedit, 0.5), multi_turn, turned(multi_turn, -0.5)]
    methods.append(flowedit.updated({"n_max": 1}))
    plans = seeded(1, 2, 1, 1, 1, 1)
    alone = [run_turn(session, tiny_flux, *each) for each in zip(methods, plans, strict=True)]
    notes, before = Notes(), tiny_flux.counter.copy()
    made = run_together(session, tiny_flux, methods, plans, watcher=notes)
    assert notes.rows == [[0, 1], [2], [3], [4], [5]]
    assert sorted(notes.turns) == list(enumerate(turn.id for turn in made))
    assert notes.turns[0][0] == 5, "the shortest is there first"
    for one, other in zip(made, alone, strict=True):
        found, expected = (latent_of(session, turn, tiny_flux) for turn in (one, other))
        assert_rounded(found, expected, OPERATIONS * one.evaluations)
        assert (one.evaluations, one.sample_evaluations) == (other.evaluations, other.sample_evaluations)
        assert one.spec is not None
        assert other.spec is not None
        assert one.spec.together == 6
        assert replace_together(one) == other.spec.model_dump()
    assert tiny_flux.counter.since(before).evaluations < sum(turn.evaluations for turn in made)
    assert session.head == made[0]


class Far(Watcher, Observer):
    """How far candidates are at the end of every step of each."""

    def __init__(self, spent: Spent) -> None:
        self.spent, self.seen = spent, [0]

    def observers(self, numbers: Sequence[int], counter: Counter) -> Sequence[Observer]:
        self.spent.begin(numbers, counter)
        return [self]

    def end(self, event: StepEnd) -> None:
        self.seen.append(self.spent.so_far())


@pytest.mark.parametrize("names", [("flowedit", "flowedit"), ("flowedit", "rf_solver", "multi_turn")])
def test_candidates_are_done_when_their_evaluations_are(
    tmp_path: Path, tiny_flux: Backbone, names: Sequence[str]
) -> None:
    """Also where what one looks at in attention is computed apart from the others."""
    session = start_session(tmp_path / "session", PICTURE, "a cat", tiny_flux)
    made = {name: quick(name) for name in names}
    methods = [made[name] for name in names]
    far = Far(Spent([method.cost(tiny_flux) for method in methods]))
    turns = run_together(session, tiny_flux, methods, seeded(1, 2, 3)[: len(names)], watcher=far)
    assert far.seen[-1] == far.spent.total == sum(turn.evaluations for turn in turns) // len(turns)
    assert far.seen == sorted(far.seen)
    assert 0 < far.seen[len(far.seen) // 2] < far.spent.total


def test_a_batch_in_halves_goes_on_from_what_is_made(tmp_path: Path) -> None:
    model = Small(1)
    session, method = start_session(tmp_path / "session", toy_picture(), "a cat", model), ToyMethod()
    far = Far(Spent([method.cost(model)] * 3))
    run_together(session, model, method, seeded(1, 2, 3), watcher=far)
    assert far.seen[-1] == far.spent.total == method.cost(model).evaluations
    assert max(far.seen) == far.spent.total


def test_what_a_method_does_for_itself_is_said_by_its_name(
    tmp_path: Path, tiny_flux: Backbone, caplog: pytest.LogCaptureFixture
) -> None:
    session = start_session(tmp_path / "session", PICTURE, "a cat", tiny_flux)
    run_together(session, tiny_flux, [quick("flowedit"), quick("rf_solver")], seeded(1, 2))
    (said,) = [record.getMessage() for record in caplog.records if record.name == "undrift.session.together"]
    assert said == "rf_solver: 12 of 12 evaluations are made apart from the batch, for StoreFeatures, InjectFeatures"


def test_what_does_not_fit_beside_others_is_not_made_twice(tmp_path: Path) -> None:
    class Filling(Small):
        """Has room for all until some are over."""

        def network_mixed(self, x: Tensor, sigmas: Tensor, inputs: NetworkInputs) -> Tensor:
            self.calls += 1
            if self.calls == 5:
                raise OutOfMemory("the memory of toy is too small")
            return super().network_mixed(x, sigmas, inputs)

        calls = 0

    model = Filling(3)
    session = start_session(tmp_path / "session", toy_picture(), "a cat", model)
    methods = [ToyMethod(ToyParams(steps=steps)) for steps in (2, 6, 7)]
    made = run_together(session, model, methods, seeded(1, 2, 3))
    assert [turn.spec.params["steps"] for turn in made if turn.spec is not None] == [2, 6, 7]
    assert [turn.spec.together for turn in made if turn.spec is not None] == [3, None, None]
    assert (len(session.turns()), session.unfinished()) == (4, ())


def test_beside_one_that_is_cancelled_what_was_made_is_kept(session: Session, backbone: ToyBackbone) -> None:
    class StopsTheLast(Watcher):
        def made(self, number: int, turn: Turn) -> None:
            raise Cancelled("stopped")

    methods = [ToyMethod(ToyParams(steps=steps)) for steps in (5, 2)]
    with pytest.raises(Cancelled):
        run_together(session, backbone, methods, seeded(1, 2), watcher=StopsTheLast())
    (kept,) = session.turns()[1:]
    assert kept.spec is not None
    assert kept.spec.params["steps"] == 2
    assert (session.unfinished(), session.head) == ((), session.original)


def test_previews_show_a_picture_of_each_row(session: Session, backbone: ToyBackbone) -> None:
    shown: list[Sequence[Image.Image]] = []
    preview = Preview(backbone, (40, 32), lambda pictures, step, steps: shown.append(pictures))
    run_together(session, backbone, ToyMethod(), seeded(1, 2, 3), [preview])
    assert [len({picture.tobytes() for picture in pictures}) for pictures in shown] == [3, 3, 3]
    assert {picture.size for pictures in shown for picture in pictures} == {(40, 32)}
