"""A picture on a larger canvas whose border a turn fills: the picture's own pixels stay, the rest is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.errors import InputError
from undrift.methods import registry
from undrift.session.canvas import Frame, beyond
from undrift.session.clips import ClipPlan, edited_clip
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.extending import begin_framed, extend, fill_plan
from undrift.session.next_turn import last_method
from undrift.session.store import Session

FRAME = Frame(-11, -3, 51, 40)
"""Beyond the picture on the left, above and, in part of a token, below."""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return start_session(tmp_path / "small", toy_picture(), "a cat", ToyBackbone())


def test_what_is_new_is_white_and_the_rest_black() -> None:
    new = beyond(Frame(-4, 2, 30, 20), (24, 18))
    assert new is not None
    white = np.asarray(new) == 255
    expected = np.ones((20, 30), dtype=bool)
    expected[:16, 4:28] = False
    assert (white == expected).all()
    assert beyond(Frame(2, 3, 20, 15), (24, 18)) is None


def test_the_border_is_filled_and_every_pixel_of_the_picture_stays(session: Session, tmp_path: Path) -> None:
    before = session.picture(session.original)
    made = extend(session, FRAME, tmp_path / "large", ToyBackbone(), seed=3)
    assert [turn.kind for turn in made.turns()] == ["original", "edit"]
    spec = made.head.spec
    assert spec is not None
    assert (spec.method, spec.preset, spec.seed, spec.target_prompt) == ("repaint", "default", 3, "a cat")
    filled = made.picture(made.head)
    inside = (11, 3, 11 + before.width, min(3 + before.height, 40))
    assert filled.crop(inside).tobytes() == before.crop((0, 0, before.width, inside[3] - 3)).tobytes()
    assert filled.tobytes() != made.picture(made.original).tobytes()
    assert made.head.drift_previous is not None
    assert made.head.drift_previous.psnr is None, "identical outside of the border"


def test_another_caption_and_method_fill_it_if_they_are_asked_for(session: Session, tmp_path: Path) -> None:
    made = extend(session, FRAME, tmp_path / "large", ToyBackbone(), "a dog", method=ToyMethod())
    assert (made.original.prompt, made.head.prompt) == ("a dog", "a dog")
    assert made.head.spec is not None
    assert made.head.spec.method == "toy"


def test_a_next_turn_goes_on_with_the_method_before_the_fill(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {**registry.all_methods(), "toy": ToyMethod}
    monkeypatch.setattr(registry, "all_methods", lambda: known)
    made = extend(session, FRAME, tmp_path / "large", ToyBackbone())
    assert last_method(made.tree(), made.head) == (registry.DEFAULT, "default")
    run_turn(made, ToyBackbone(), registry.get("toy", "global"), EditPlan("a dog"))
    region = beyond(FRAME, (40, 32))
    run_turn(made, ToyBackbone(), registry.get("repaint"), EditPlan("a cow", region=region))
    assert last_method(made.tree(), made.head) == ("toy", "global")


def test_it_draws_nothing_anew_without_being_told_where(session: Session) -> None:
    method = registry.get("repaint")
    with pytest.raises(InputError, match="method 'repaint' draws a region anew and was given none: say where with"):
        run_turn(session, ToyBackbone(), method, EditPlan("a dog"))
    with pytest.raises(InputError, match="'repaint' draws a region anew and was given none"):
        edited_clip(ToyBackbone(), method, [toy_picture()], ClipPlan("a cat", "a dog"))
    assert len(session.turns()) == 1


def test_what_cannot_be_filled_is_one_clear_line_and_makes_nothing(session: Session, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the frame goes nowhere beyond the picture: there is nothing to fill"):
        extend(session, Frame(0, 0, 20, 16), tmp_path / "none", ToyBackbone())
    with pytest.raises(InputError, match="nothing says what the extended picture shows: give its caption"):
        fill_plan(FRAME, (40, 32), " ")
    with pytest.raises(InputError, match="the frame has nothing of the picture"):
        begin_framed(session, Frame(500, 0, 20, 20), tmp_path / "none", ToyBackbone())
    assert not (tmp_path / "none").exists()
