"""What the turns of one picture are of another one, of which something else is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.toy import ToyBackbone, ToyMethod, ToyParams, toy_picture
from undrift.errors import InputError
from undrift.session.carrying import carried_turns, merged
from undrift.session.engine import EditPlan, import_picture, run_turn, start_session
from undrift.session.replay import replay
from undrift.session.store import Session

WORDS = ["a", "red", "blue", "cat", "dog", "on", "in", "the", "beach", "snow"]
CAPTIONS = st.lists(st.sampled_from(WORDS), max_size=7).map(" ".join)


@given(CAPTIONS, CAPTIONS)
def test_an_edit_of_nothing_else_is_the_edit_and_no_edit_changes_nothing(base: str, other: str) -> None:
    assert merged(base, other, base) == other
    assert merged(base, base, other) == other
    assert merged(base, other, other) == other


@pytest.mark.parametrize(
    ("base", "edited", "other", "expected"),
    [
        ("a red cat", "a blue cat", "a small red cat on a sofa", "a small blue cat on a sofa"),
        ("a red cat", "a red cat with a hat", "a red dog", "a red dog with a hat"),
        ("a cat on a beach", "a cat in the snow", "a dog on a beach", "a dog in the snow"),
        ("a cat on a beach", "a cat in the snow", "a dog in a garden", "a dog in the snow"),
        ("a red cat with a hat", "a red cat", "A Red Dog with a hat", "A Red Dog"),
        ("a red cat", "a red cat at night", "a red cat on a sofa", "a red cat on a sofa at night"),
        ("a red cat", "a blue cat", "a green dog", "a blue dog"),
    ],
)
def test_what_the_edit_changes_is_changed_in_the_other_caption(
    base: str, edited: str, other: str, expected: str
) -> None:
    assert merged(base, edited, other) == expected


@pytest.mark.parametrize(
    ("base", "edited", "other"),
    [
        ("a red cat", "a blue cat", "two white birds in the sky"),
        ("a red cat on a beach", "a red cat on a table", "two birds"),
    ],
)
def test_where_the_other_caption_lacks_the_words_nothing_is_guessed(base: str, edited: str, other: str) -> None:
    with pytest.raises(InputError, match=r"it has something else in place of '.*', of which the turn changes a part"):
        merged(base, edited, other)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A red cat that is made blue by an instruction, gets a hat by a caption, and is put in by hand."""
    backbone = ToyBackbone()
    made = start_session(tmp_path / "first", toy_picture(16, 16), "a red cat on a beach", backbone)
    method = ToyMethod(ToyParams())
    run_turn(made, backbone, method, EditPlan("a blue cat on a beach", instruction="make the cat blue", seed=1))
    run_turn(made, backbone, method, EditPlan("a blue cat with a hat on a beach", seed=2, words=("hat",)))
    return made


def repeated(session: Session, folder: Path, **changed: Any) -> Session:
    """The session once more, with the toy."""
    return replay(session, folder, ToyBackbone(), method=lambda spec: ToyMethod(ToyParams()), **changed)


def test_instructions_are_understood_anew_and_captions_carried_over(session: Session, tmp_path: Path) -> None:
    other = "a white cat on a beach at night"
    new = repeated(session, tmp_path / "b", image=toy_picture(24, 16), prompt=other)
    assert [turn.prompt for turn in new.turns()] == [
        "a white cat on a beach at night",
        "a blue cat on a beach at night",
        "a blue cat with a hat on a beach at night",
    ]
    specs = [turn.spec for turn in new.turns()[1:]]
    assert [spec and spec.instruction for spec in specs] == ["make the cat blue", None]
    assert specs[1] is not None
    assert specs[1].words == ("hat",)
    assert (new.head.width, new.head.height) == (24, 16)


def test_the_same_caption_is_the_same_session(session: Session, tmp_path: Path) -> None:
    new = repeated(session, tmp_path / "b", prompt=session.original.prompt)
    assert [turn.image_hash for turn in new.turns()] == [turn.image_hash for turn in session.turns()]


def test_a_turn_without_a_sure_meaning_is_named_before_anything_is_made(session: Session, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="turn 1 cannot be made of a picture that shows 'two birds': it has"):
        repeated(session, tmp_path / "b", prompt="two birds")
    assert not (tmp_path / "b").exists()


def test_after_a_picture_put_in_by_hand_its_own_caption_counts(session: Session, tmp_path: Path) -> None:
    import_picture(session, toy_picture(16, 16), "a green tree", ToyBackbone())
    run_turn(session, ToyBackbone(), ToyMethod(ToyParams()), EditPlan("a green tree at night", seed=3))
    tree = session.tree()
    found = carried_turns(tree, session.path(session.head), "a white cat on a beach")
    assert found[session.head.id].prompt == "a green tree at night"
