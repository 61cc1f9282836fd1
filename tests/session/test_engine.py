"""One turn from plan to stored result, and whole sessions again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.toy import ToyBackbone, ToyMethod, ToyParams, toy_picture
from undrift.backbones.base import Backbone
from undrift.errors import Cancelled, InputError, ModelError, SessionError
from undrift.flow import Observer, StepEnd
from undrift.methods import registry
from undrift.methods.base import EditMethod, EditRequest, EditResult
from undrift.pictures import read_metadata
from undrift.session import drift
from undrift.session.engine import EditPlan, import_picture, restore, run_turn, start_session
from undrift.session.model import Turn, TurnSpec
from undrift.session.outcome import Pending
from undrift.session.replay import recorded_method, replay
from undrift.session.store import Session


class Recording(ToyMethod):
    """The toy method, keeping the requests it got."""

    def __init__(self, params: ToyParams | None = None) -> None:
        super().__init__(params)
        self.requests: list[EditRequest] = []

    def edit(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer] = ()) -> EditResult:
        self.requests.append(request)
        return super().edit(backbone, request, observers)


def toy_method(spec: TurnSpec) -> EditMethod:
    params = ToyParams.model_validate(spec.params)
    return ToyMethod(params, preset=spec.preset, dial_value=spec.dial or 0.0)


def files_of(session: Session, turn: Turn) -> tuple[bytes, bytes | None]:
    return session.contents(turn, turn.image), session.latent(turn)


def test_source_turn(session: Session, backbone: ToyBackbone) -> None:
    source = session.original
    assert (source.prompt, source.width, source.height, source.spec) == ("a cat", 40, 32, None)
    assert session.picture(source).tobytes() == toy_picture().tobytes()


def test_a_turn_records_everything_that_decides_it(session: Session, backbone: ToyBackbone) -> None:
    method = Recording(ToyParams(steps=3))
    turn = run_turn(session, backbone, method, EditPlan("a cat with a hat", words=("hat",), seed=7))
    assert turn == session.head == Session.open(session.folder).head
    spec = turn.spec
    assert spec is not None
    assert (spec.source_prompt, spec.target_prompt, spec.words, spec.seed) == (
        "a cat",
        "a cat with a hat",
        ("hat",),
        7,
    )
    assert (spec.method, spec.preset, spec.handover) == ("toy", "custom", "latent")
    assert spec.params == {"steps": 3, "strength": 0.6, "masked": True}
    assert (spec.model, spec.weights_hash, spec.dtype, spec.device) == ("toy", "toy-weights", "fp32", "cpu")
    assert {"undrift", "python", "torch", "diffusers", "transformers"} <= set(spec.versions)
    assert (turn.evaluations, turn.sample_evaluations) == (3, 3)
    assert turn.seconds > 0
    (request,) = method.requests
    assert (request.turn, list(request.original_prompts)) == (1, ["a cat"])
    assert request.original.packed.equal(request.previous.packed)
    recorded = read_metadata(session.folder / turn.image)
    assert TurnSpec.model_validate(recorded["turns"][0]["spec"]) == spec
    assert recorded["prompt"] == "a cat with a hat"


def test_the_next_turn_continues_from_the_stored_latent(session: Session, backbone: ToyBackbone) -> None:
    method = Recording()
    first = run_turn(session, backbone, method, EditPlan("one", seed=1))
    encoded = backbone.encoded
    run_turn(session, backbone, method, EditPlan("two", seed=2))
    assert backbone.encoded == encoded, "nothing was encoded again"
    source, result = method.requests[0].original, ToyMethod().edit(backbone, method.requests[0]).latent
    assert method.requests[1].turn == 2
    assert method.requests[1].original.packed.equal(source.packed)
    assert method.requests[1].previous.packed.equal(result.packed)
    assert method.requests[1].previous.geometry == result.geometry
    assert session.turn("head").parent == first.id


def test_handover_image_encodes_the_picture_again(session: Session, backbone: ToyBackbone) -> None:
    method = Recording()
    first = run_turn(session, backbone, method, EditPlan("one", seed=1))
    second = run_turn(session, backbone, method, EditPlan("two", seed=2, handover="image"))
    expected = backbone.encode([session.picture(first)])
    assert method.requests[1].previous.packed.equal(expected.packed)
    assert second.spec is not None
    assert second.spec.handover == "image"


def test_latents_of_other_weights_are_not_used(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    other, method = ToyBackbone("other weights"), Recording()
    with caplog.at_level(logging.INFO):
        turn = run_turn(session, other, method, EditPlan("one", seed=1))
    expected = other.encode([toy_picture()]).packed
    assert method.requests[0].original.packed.equal(expected)
    assert method.requests[0].previous.packed.equal(expected)
    assert "can go on with: its picture is encoded again" in caplog.text
    assert turn.spec is not None
    assert (turn.spec.handover, turn.spec.weights_hash) == ("image", "other weights")


def test_same_plan_same_bytes(tmp_path: Path, backbone: ToyBackbone) -> None:
    results = []
    for name in ("a", "b"):
        session = start_session(tmp_path / name, toy_picture(), "a cat", ToyBackbone())
        for seed in (3, 4):
            run_turn(session, ToyBackbone(), ToyMethod(), EditPlan(f"turn {seed}", seed=seed))
        results.append([(turn.id, *files_of(session, turn)) for turn in session.turns()])
    assert results[0] == results[1]


def test_a_drawn_seed_is_recorded_and_repeats_the_turn(session: Session, backbone: ToyBackbone) -> None:
    drawn = run_turn(session, backbone, ToyMethod(), EditPlan("one"))
    assert drawn.spec is not None
    again = run_turn(session, backbone, ToyMethod(), EditPlan("one", parent="original", seed=drawn.spec.seed))
    assert again.id != drawn.id
    assert files_of(session, again) == files_of(session, drawn)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range(session: Session, backbone: ToyBackbone, seed: int) -> None:
    with pytest.raises(InputError, match=rf"seed is {seed}, expected 0 to 4294967295, or none to draw one"):
        run_turn(session, backbone, ToyMethod(), EditPlan("one", seed=seed))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"seed": 1.5}, "seed is 1.5, expected 0 to"),
        ({"seed": "1"}, "seed is 1, expected 0 to"),
        ({"words": "hat"}, "the plan of the turn: words: input should be a valid tuple"),
        ({"handover": "latnet"}, "the plan of the turn: handover: input should be 'latent' or 'image'"),
    ],
)
def test_a_plan_of_other_types_is_refused(
    session: Session, backbone: ToyBackbone, plan: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run_turn(session, backbone, ToyMethod(), EditPlan("one", **plan))
    assert len(session.turns()) == 1


def test_names_in_the_place_of_what_they_name_are_refused_with_what_gives_it(
    session: Session, backbone: ToyBackbone, tmp_path: Path
) -> None:
    toy: Any = "toy"
    with pytest.raises(InputError, match=r"the method is 'toy', expected EditMethod: undrift.method\(NAME, model\)"):
        run_turn(session, backbone, toy, EditPlan("one"))
    with pytest.raises(InputError, match=r"the model is 'toy', expected Backbone: undrift.load\(NAME\)"):
        run_turn(session, toy, ToyMethod(), EditPlan("one"))
    with pytest.raises(InputError, match=r"the plan is 'toy', expected EditPlan: undrift.EditPlan\(PROMPT\)"):
        run_turn(session, backbone, ToyMethod(), toy)
    with pytest.raises(InputError, match=r"the picture is 'toy', expected Image: undrift.read_picture\(FILE\)"):
        start_session(tmp_path / "other", toy, "a cat", backbone)


@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_empty_prompt(session: Session, backbone: ToyBackbone, prompt: str) -> None:
    with pytest.raises(InputError, match="the prompt of the edit is empty: say what the picture is to show"):
        run_turn(session, backbone, ToyMethod(), EditPlan(prompt))


def test_empty_source_prompt_is_fine(tmp_path: Path, backbone: ToyBackbone) -> None:
    session = start_session(tmp_path / "s", toy_picture(), "", backbone)
    assert run_turn(session, backbone, ToyMethod(), EditPlan("one", seed=1)).number == 1


def test_broken_unicode(session: Session, backbone: ToyBackbone, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'a \\udcff' is not valid Unicode text"):
        run_turn(session, backbone, ToyMethod(), EditPlan("a \udcff"))
    with pytest.raises(InputError, match="is not valid Unicode"):
        start_session(tmp_path / "s", toy_picture(), "\ud800", backbone)


def test_unknown_parent(session: Session, backbone: ToyBackbone) -> None:
    with pytest.raises(InputError, match="no turn 'nine'"):
        run_turn(session, backbone, ToyMethod(), EditPlan("one", parent="nine"))


@pytest.mark.parametrize("error", [Cancelled("stopped"), KeyboardInterrupt(), ValueError("bug")])
def test_a_stopped_turn_leaves_no_trace(session: Session, backbone: ToyBackbone, error: BaseException) -> None:
    seen: list[Pending] = []

    class Stop(Observer):
        def end(self, event: StepEnd) -> None:
            seen.extend(session.unfinished())
            raise error

    with pytest.raises(type(error)):
        run_turn(session, backbone, ToyMethod(), EditPlan("one", seed=5), [Stop()])
    assert [(p.prompt, isinstance(p.spec, TurnSpec) and p.spec.seed) for p in seen] == [("one", 5)], "recorded first"
    assert not session.unfinished()
    assert session.turns() == (session.original,)
    assert len(list(session.folder.rglob("*.png"))) == 1


def test_drift_is_measured_outside_the_edits(session: Session, backbone: ToyBackbone) -> None:
    first = run_turn(session, backbone, ToyMethod(), EditPlan("one", seed=0))
    second = run_turn(session, backbone, ToyMethod(), EditPlan("two", seed=3))
    for turn in (first, second):
        for numbers in (turn.drift_original, turn.drift_previous):
            assert numbers is not None
            assert (numbers.psnr, numbers.changed) == (None, 0.0), "the toy method changes nothing outside its mask"
    # Seed 0 edits 16 x 16 pixels in a corner, and half a token (4 pixels) grows on the two inner sides.
    assert first.drift_original is not None
    assert first.drift_original.outside == 1 - 20 * 20 / (40 * 32)
    # Seed 3 edits the last row of tokens alone: 8 x 16 in the other corner. Against the original both count.
    assert second.drift_previous is not None
    assert second.drift_original is not None
    assert second.drift_previous.outside == 1 - 20 * 12 / (40 * 32)
    assert second.drift_original.outside == 1 - (20 * 20 + 20 * 12) / (40 * 32)


def test_without_a_mask_the_whole_picture_counts(session: Session, backbone: ToyBackbone) -> None:
    turn = run_turn(session, backbone, ToyMethod(ToyParams(masked=False)), EditPlan("one", seed=0))
    assert turn.mask is None
    assert session.mask(turn) is None
    a, b = (np.asarray(session.picture(t), float) for t in (session.original, turn))
    assert turn.drift_original == turn.drift_previous
    assert turn.drift_original is not None
    assert turn.drift_original.outside == 1.0
    assert turn.drift_original.psnr == pytest.approx(10 * np.log10(255**2 / ((a - b) ** 2).mean()))
    assert turn.drift_original.changed == pytest.approx((np.abs(a - b).max(-1) > 8).mean())


def test_a_new_place_is_no_drift_and_later_turns_are_not_blamed_for_it(
    session: Session, backbone: ToyBackbone
) -> None:
    """The words ask for the whole picture, and the attention's map covers a corner of it."""
    place = EditPlan("a cat in a meadow", source_prompt="a cat on a beach", seed=0)
    moved = run_turn(session, backbone, ToyMethod(), place)
    assert moved.mask is not None
    for numbers in (moved.drift_original, moved.drift_previous):
        assert numbers is not None
        assert numbers.outside == 0.0
    later = run_turn(session, backbone, ToyMethod(ToyParams(masked=False)), EditPlan("a dog in a meadow", seed=3))
    assert later.drift_original is not None
    assert later.drift_previous is not None
    assert (later.drift_original.outside, later.drift_previous.outside) == (0.0, 1.0)
    assert drift.warning(later) is None


def test_what_nobody_knows_takes_nothing_from_what_is_known(session: Session, backbone: ToyBackbone) -> None:
    known = run_turn(session, backbone, ToyMethod(), EditPlan("one", seed=0))
    unknown = run_turn(session, backbone, ToyMethod(ToyParams(masked=False)), EditPlan("two", seed=3))
    assert known.drift_previous is not None
    assert unknown.drift_original is not None
    assert unknown.drift_original.outside == known.drift_previous.outside


def test_pictures_that_the_method_settles_are_kept(session: Session, backbone: ToyBackbone) -> None:
    settled = Image.new("RGB", (40, 32), (1, 2, 3))

    class Settling(ToyMethod):
        def edit(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer] = ()) -> EditResult:
            assert request.previous_images[0].tobytes() == toy_picture().tobytes()
            return replace(super().edit(backbone, request, observers), images=(settled,))

    turn = run_turn(session, backbone, Settling(), EditPlan("one", seed=0))
    assert session.picture(turn).tobytes() == settled.tobytes()


def test_import(session: Session, backbone: ToyBackbone) -> None:
    run_turn(session, backbone, ToyMethod(), EditPlan("one", seed=0))
    painted = Image.new("RGB", (40, 32), "red")
    turn = import_picture(session, painted, "all red", backbone)
    assert (turn.kind, turn.number, turn.spec) == ("import", 2, None)
    after = run_turn(session, backbone, ToyMethod(), EditPlan("two", seed=1))
    assert after.drift_original is not None
    assert after.drift_original.outside == 0.0, "who puts a picture in by hand asks for all of it"
    with pytest.raises(InputError, match="the picture is 8x8, expected the session's 40x32 pixels"):
        import_picture(session, Image.new("RGB", (8, 8)), "small", backbone)


def branched(session: Session, backbone: ToyBackbone) -> Session:
    for seed in (1, 2):
        run_turn(session, backbone, ToyMethod(), EditPlan(f"turn {seed}", seed=seed))
    import_picture(session, Image.new("RGB", (40, 32), "red"), "red", backbone)
    session.branch("side", "1")
    run_turn(session, backbone, ToyMethod(ToyParams(masked=False)), EditPlan("s", source_prompt="told", seed=3))
    run_turn(session, backbone, ToyMethod(), EditPlan("s2", handover="image", words=("s2",), seed=4))
    session.undo()
    return session


def test_replay_of_everything_gives_the_same_bytes(session: Session, backbone: ToyBackbone, tmp_path: Path) -> None:
    old = branched(session, backbone)
    seen: list[Turn] = []
    new = replay(old, tmp_path / "again", ToyBackbone(), method=toy_method, finished=seen.append)
    assert [files_of(new, turn) for turn in new.turns()] == [files_of(old, turn) for turn in old.turns()]
    assert [turn.spec for turn in new.turns()] == [turn.spec for turn in old.turns()]
    assert new.tree().text() == old.tree().text()
    assert (new.tree().branch, new.head) == ("side", new.turn(old.head.id))
    assert tuple(seen) == new.turns()[1:]


def test_replay_of_one_path_with_changes(session: Session, backbone: ToyBackbone, tmp_path: Path) -> None:
    old = branched(session, backbone)
    picture = toy_picture(24, 48)
    new = replay(
        old,
        tmp_path / "again",
        ToyBackbone("other"),
        image=picture,
        prompt="a dog",
        seed=9,
        method=toy_method,
        turn="side",
    )
    assert [turn.prompt for turn in new.turns()] == ["a dog", "turn 1", "s", "s2"]
    assert [turn.spec.source_prompt for turn in new.turns() if turn.spec] == ["a dog", "told", "s"]
    assert {turn.spec.seed for turn in new.turns() if turn.spec} == {9}
    assert {turn.spec.weights_hash for turn in new.turns() if turn.spec} == {"other"}
    assert new.head.width == 24
    assert new.head == new.turns()[-1]


def test_a_recorded_method_comes_back_with_its_parameters(session: Session, backbone: ToyBackbone) -> None:
    usual = registry.get(overrides={"steps": 3, "skipped": 0.25})
    spec = run_turn(session, backbone, ToyMethod(), EditPlan("one", seed=0)).spec
    assert spec is not None
    recorded = spec.model_copy(update={"method": usual.name, "params": usual.params.model_dump(mode="json")})
    again = recorded_method(recorded)
    assert (type(again), again.params) == (type(usual), usual.params)


def test_one_pixel_picture(tmp_path: Path, backbone: ToyBackbone) -> None:
    session = start_session(tmp_path / "s", Image.new("RGB", (1, 1), "red"), "a dot", backbone)
    turn = run_turn(session, backbone, ToyMethod(), EditPlan("a blue dot", seed=0))
    assert (turn.width, turn.height) == (1, 1)
    assert turn.drift_previous is not None
    assert turn.drift_previous.outside == 0.0


def test_a_damaged_latent_is_an_error(session: Session, backbone: ToyBackbone) -> None:
    (session.folder / str(session.original.latent)).write_bytes(b"nothing")
    with pytest.raises(SessionError, match="was changed since its turn was made"):
        run_turn(session, backbone, ToyMethod(), EditPlan("one", seed=0))
    assert not session.unfinished()


@pytest.mark.parametrize("identity", [{"weights_hash": ""}, {"name": ""}, {"name": "x" * 5000}])
def test_a_model_that_does_not_say_which_it_is_begins_nothing(
    session: Session, backbone: ToyBackbone, tmp_path: Path, identity: dict[str, Any]
) -> None:
    nameless = ToyBackbone()
    nameless.identity = replace(nameless.identity, **identity)
    works: tuple[Callable[[], object], ...] = (
        lambda: start_session(tmp_path / "new", toy_picture(), "a cat", nameless),
        lambda: run_turn(session, nameless, ToyMethod(), EditPlan("a dog")),
        lambda: import_picture(session, toy_picture(), "a cat", nameless),
        lambda: restore(session, nameless, Image.new("L", (40, 32), 255)),
    )
    for work in works:
        with pytest.raises(ModelError, match="without which a session cannot be opened again"):
            work()
    assert nameless.counter.evaluations == 0
    assert not (tmp_path / "new").exists()
    assert len(session.turns()) == 1
