"""Animations hold the turns, in order, for as long as asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from tests.support.toy import ToyBackbone, ToyMethod, ToyParams
from undrift.errors import InputError, SessionError
from undrift.session.animation import write_animation
from undrift.session.engine import EditPlan, run_turn
from undrift.session.store import Session


@pytest.fixture
def edited(session: Session, backbone: ToyBackbone) -> Session:
    for seed in (1, 2):
        run_turn(session, backbone, ToyMethod(ToyParams(masked=False)), EditPlan(f"turn {seed}", seed=seed))
    return session


def frames(path: Path) -> list[tuple[Image.Image, int]]:
    with Image.open(path) as opened:
        assert opened.info["loop"] == 0
        return [(frame.convert("RGB"), frame.info["duration"]) for frame in ImageSequence.Iterator(opened)]


def test_webp_keeps_every_pixel(edited: Session, tmp_path: Path) -> None:
    write_animation(edited, tmp_path / "turns.webp", seconds=0.25)
    seen = frames(tmp_path / "turns.webp")
    assert [frame.tobytes() for frame, _ in seen] == [edited.picture(turn).tobytes() for turn in edited.turns()]
    assert [time for _, time in seen] == [250] * 3


def test_gif_has_at_most_256_colours(edited: Session, tmp_path: Path) -> None:
    write_animation(edited, tmp_path / "turns.gif", edited.path(edited.head)[1:], seconds=2)
    seen = frames(tmp_path / "turns.gif")
    assert [time for _, time in seen] == [2000] * 2
    for (frame, _), turn in zip(seen, edited.turns()[1:], strict=True):
        error = np.abs(np.asarray(frame, int) - np.asarray(edited.picture(turn), int))
        assert error.mean() < 8


def test_captions_stand_below_an_enlarged_picture(edited: Session, tmp_path: Path) -> None:
    write_animation(edited, tmp_path / "turns.webp", captions=True)
    seen = [frame for frame, _ in frames(tmp_path / "turns.webp")]
    assert {frame.size for frame in seen} == {(280, 224 + 48)}
    below = [np.asarray(frame)[224:] for frame in seen]
    assert all((part < 100).any() for part in below), "dark letters"
    assert not np.array_equal(below[0], below[1])
    shown = np.asarray(seen[1].crop((0, 0, 280, 224)).resize((40, 32), Image.Resampling.BOX), int)
    assert np.abs(shown - np.asarray(edited.picture(edited.turns()[1]), int)).mean() < 4


def test_what_is_refused(edited: Session, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'.*turns.mp4': expected a name that ends in .webp or .gif"):
        write_animation(edited, tmp_path / "turns.mp4")
    for seconds in (0.0, 61.0, float("nan")):
        with pytest.raises(InputError, match=r"each turn is to be shown for .* s, expected 0.02 to 60 s"):
            write_animation(edited, tmp_path / "turns.gif", seconds=seconds)
    with pytest.raises(SessionError, match="cannot write"):
        write_animation(edited, tmp_path / "none" / "turns.gif")
    assert not list(tmp_path.glob("*.gif"))
