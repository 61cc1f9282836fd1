"""References of a turn: kept in its session, made again from there alone, and never looked for elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.closeness import assert_rounded
from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.backbones.base import Geometry
from undrift.errors import InputError, SessionError
from undrift.methods.registry import get
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.export import export_zip
from undrift.session.references import Look, anchors, looks_of, sheet_of
from undrift.session.replay import replay
from undrift.session.script import commands, python_script
from undrift.session.store import Session
from undrift.session.unpack import import_zip

SIZE = (40, 32)
METHOD = get("undrift", overrides={"steps": 4, "map_steps": 0})
HALF = Image.new("L", SIZE, 0)
HALF.paste(255, (0, 0, 16, 32))


def other() -> Image.Image:
    return toy_picture().transpose(Image.Transpose.ROTATE_180)


def edited(session: Session, backbone: ToyBackbone, *looks: Look) -> bytes:
    turn = run_turn(session, backbone, METHOD, EditPlan("a dog", seed=1, parent="original", references=looks))
    return session.picture(turn).tobytes()


def test_a_sheet_holds_the_pictures_and_their_weights() -> None:
    looks = (Look(other(), 1.0), Look(toy_picture(), 0.4, HALF))
    sheet = sheet_of(looks, SIZE)
    assert sheet is not None
    assert sheet.size == (40, 128)
    first, second = looks_of(sheet, SIZE)
    assert first.picture.tobytes() == other().tobytes()
    assert second.picture.tobytes() == toy_picture().tobytes()
    assert second.mask is not None
    levels = np.asarray(second.mask)
    assert (levels[:, :16] == 102).all()  # 0.4 of 255
    assert (levels[:, 16:] == 0).all()
    again = sheet_of((first, second), SIZE)
    assert again is not None
    assert again.tobytes() == sheet.tobytes()


def test_a_token_s_weight_is_the_mean_over_its_pixels(backbone: ToyBackbone) -> None:
    mask = Image.new("L", SIZE, 0)
    mask.paste(255, (0, 0, 12, 32))
    (made,) = anchors([Look(other(), 0.6, mask)], backbone, Geometry(32, 40, 4, 5, 8))
    # A mean of 64 levels of 1 / 255; .6 of 255 is a whole level.
    assert_rounded(made.weight.view(4, 5)[0], torch.tensor([0.6, 0.3, 0.0, 0.0, 0.0]), 64 + 2)
    assert torch.equal(made.latent, backbone.encode([other()]).packed)


def test_a_reference_changes_the_turn_and_a_turn_without_one_is_recorded_as_ever(
    session: Session, backbone: ToyBackbone
) -> None:
    without, referred = edited(session, backbone), edited(session, backbone, Look(other(), 1.0))
    assert without != referred
    plain, pulled = (json.loads(turn.model_dump_json()) for turn in session.turns()[1:])
    assert not [name for name in (*plain, *plain["spec"]) if "references" in name]
    assert pulled["references_file"] == f"references/{pulled['id']}.png"
    assert len(pulled["spec"]["references_hash"]) == 64


def test_a_session_alone_makes_its_turn_again(session: Session, backbone: ToyBackbone, tmp_path: Path) -> None:
    picture = edited(session, backbone, Look(other(), 0.8, HALF), Look(toy_picture(), 0.2))
    again = replay(session, tmp_path / "again", backbone)
    assert again.picture(again.head).tobytes() == picture
    export_zip(session, tmp_path / "s.zip")
    elsewhere = import_zip(tmp_path / "s.zip", tmp_path / "elsewhere")
    once_more = replay(elsewhere, tmp_path / "once-more", backbone)
    assert once_more.picture(once_more.head).tobytes() == picture
    file = str(session.folder.resolve() / str(session.head.references_file))
    assert f"--reference {file}" in commands(session, session.head)[0]
    assert file in python_script(session, session.head)


def test_the_script_makes_it_again(
    session: Session, backbone: ToyBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = edited(session, backbone, Look(other(), 0.8, HALF))
    monkeypatch.setattr("undrift.load", lambda **options: ToyBackbone())
    script = python_script(session, session.head)
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "again.py", "exec"), {})
    made = Session.open(tmp_path / "undrift-again")
    assert made.picture(made.head).tobytes() == picture


@pytest.mark.parametrize(
    ("look", "message"),
    [
        (
            Look(toy_picture(8, 8)),
            "the reference is 8x8, expected the session's 40x32 pixels: resize or crop it first",
        ),
        (Look(other(), 0.5, Image.new("L", (4, 4), 255)), "the mask of a reference is 4x4, expected"),
        (Look(other(), 1.5), "the weight of a reference is 1.5, expected more than 0 and at most 1"),
        (Look(other(), 0.0), "the weight of a reference is 0, expected more than 0"),
        (Look(other(), float("nan")), "the weight of a reference is nan, expected more than 0"),
        (Look(other(), 0.5, Image.new("L", SIZE, 0)), "a reference pulls nowhere"),
    ],
)
def test_what_no_turn_can_take_is_refused_before_it_begins(
    session: Session, backbone: ToyBackbone, look: Look, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        edited(session, backbone, look)
    assert len(session.turns()) == 1
    assert not session.unfinished()


def test_too_many_and_methods_that_take_none_are_refused(session: Session, backbone: ToyBackbone) -> None:
    with pytest.raises(InputError, match="5 references were given, expected at most 4"):
        edited(session, backbone, *[Look(other())] * 5)
    plan = EditPlan("a dog", references=(Look(other()),))
    with pytest.raises(InputError, match=r"method 'toy' takes no reference: .* multi_turn, undrift"):
        run_turn(session, backbone, ToyMethod(), plan)


def test_a_file_that_is_no_sheet_is_refused(session: Session, backbone: ToyBackbone, tmp_path: Path) -> None:
    edited(session, backbone, Look(other()))
    path = session.folder / str(session.head.references_file)
    other().save(path)
    with pytest.raises(SessionError, match="was changed since its turn was made"):
        session.references(session.head)
    with pytest.raises(SessionError):
        replay(session, tmp_path / "again", backbone)


def test_references_of_another_size_do_not_go_to_another_picture(
    session: Session, backbone: ToyBackbone, tmp_path: Path
) -> None:
    edited(session, backbone, Look(other()))
    with pytest.raises(InputError, match="the picture is 16x16, expected 40x32 pixels"):
        replay(session, tmp_path / "again", backbone, image=toy_picture(16, 16))
    assert start_session(tmp_path / "free", toy_picture(16, 16), "a cat", backbone).turns()
