"""What must stay stays to the bit, in the picture and in the latent, whatever the method and the shape."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from tests.support.closeness import assert_rounded
from tests.support.toy import ToyBackbone, ToyMethod, ToyParams, toy_picture
from undrift.backbones.base import Backbone, Geometry, Latent
from undrift.errors import InputError, SessionError
from undrift.flow import Observer
from undrift.methods.base import EditMethod, EditRequest, EditResult
from undrift.pictures import png_bytes, read_mask
from undrift.session import database, latents
from undrift.session.engine import EditPlan, restore, run_turn, start_session
from undrift.session.model import RestoreSpec, Turn
from undrift.session.region import blended, blended_latent, changeable, checked, region_of, weights
from undrift.session.replay import replay
from undrift.session.store import Session

EVERYWHERE = ToyMethod(ToyParams(masked=False))
LEFT = Image.new("L", (40, 32), 0)
LEFT.paste(255, (0, 0, 20, 32))


def painted(size: tuple[int, int], box: tuple[int, int, int, int], value: int = 255) -> Image.Image:
    """Black, with ``value`` in ``box`` (left, top, right, bottom; the last two excluded)."""
    mask = Image.new("L", size, 0)
    mask.paste(value, box)
    return mask


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=int)


def packed(session: Session, turn: Turn, backbone: Backbone) -> torch.Tensor:
    data = session.latent(turn)
    assert data is not None
    return latents.from_bytes(data, backbone).latent.packed


@pytest.mark.parametrize("size", [(40, 32), (33, 57), (8, 8), (100, 20)])
def test_outside_the_region_nothing_changes(tmp_path: Path, backbone: ToyBackbone, size: tuple[int, int]) -> None:
    session = start_session(tmp_path / "s", toy_picture(*size), "a cat", backbone)
    region = painted(size, (3, 2, 3 + size[0] // 2, 2 + size[1] // 2))
    free = run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1, parent="original"))
    held = run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1, parent="original", region=region))
    before, all_of_it, after = (pixels(session.picture(turn)) for turn in (session.original, free, held))
    outside = np.asarray(region) == 0
    assert np.array_equal(after[outside], before[outside])
    assert (after[~outside] != before[~outside]).any()
    deep = np.asarray(weights(region)) == 1
    assert np.array_equal(after[deep], all_of_it[deep]), "where no edge is near the edit is whole"


def test_the_latent_handed_over_agrees_with_the_picture(session: Session, backbone: ToyBackbone) -> None:
    region = painted((40, 32), (4, 8, 36, 24))  # columns of 8 pixels: the first and the last are half covered
    free = run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1, parent="original"))
    held = run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1, parent="original", region=region))
    before, edited, after = (
        packed(session, turn, backbone).view(4, 5, -1) for turn in (session.original, free, held)
    )
    assert torch.equal(after[[0, 3]], before[[0, 3]]), "rows of tokens that lie wholly outside"
    share = torch.as_tensor(weights(region)).view(4, 8, 5, 8).mean((1, 3))[..., None]
    assert_rounded(after, before + share * (edited - before), 64)
    assert 0 < float(share[1, 0]) < float(share[1, 2]) < 1.01


def test_the_edge_is_soft_and_inside(backbone: ToyBackbone) -> None:
    region = painted((256, 192), (100, 60, 200, 150))
    w = weights(region)
    assert (w[np.asarray(region) == 0] == 0).all()
    across = w[100, 99:106]
    assert_rounded(across, np.array([0, 0.25, 0.5, 0.75, 1, 1, 1], across.dtype), 10)
    assert weights(painted((256, 192), (0, 0, 256, 100)))[0, 0] == 1, "the border of the picture is no edge"


def test_grey_changes_in_part() -> None:
    inside, outside = Image.new("RGB", (40, 40), (200, 0, 100)), Image.new("RGB", (40, 40), (100, 100, 100))
    half = weights(Image.new("L", (40, 40), 51))
    assert pixels(blended(inside, outside, half))[20, 20].tolist() == [120, 80, 100]


@pytest.mark.parametrize("size", [(40, 32), (33, 17), (1, 1), (400, 3)])
def test_a_token_may_change_where_one_of_its_pixels_may(size: tuple[int, int]) -> None:
    grid = Geometry(size[1], size[0], -(-size[1] // 8), -(-size[0] // 8), 8)
    rng = np.random.default_rng(size[0])
    marks = np.where(rng.random((size[1], size[0])) < 0.01, 255, 0).astype(np.uint8)
    marks[-1, -1] = 255
    expected = np.zeros((grid.rows, grid.columns))
    for row, column in zip(*np.nonzero(marks), strict=True):
        expected[row // 8, column // 8] = 1
    assert (
        changeable(Image.fromarray(marks), grid).view(grid.rows, grid.columns).numpy().tolist() == expected.tolist()
    )


def test_padding_counts_as_the_edge_that_it_repeats() -> None:
    grid = Geometry(height=5, width=5, rows=1, columns=1, token_side=8)
    old, new = (Latent(torch.full((1, 1, 3), value), grid) for value in (0.0, 1.0))
    white = weights(Image.new("L", (5, 5), 255))
    assert torch.equal(blended_latent(new, old, white).packed, new.packed)


def test_the_region_reaches_the_method(session: Session, backbone: ToyBackbone) -> None:
    seen: list[torch.Tensor | None] = []

    class Looking(ToyMethod):
        def edit(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer] = ()) -> EditResult:
            seen.append(request.editable_tokens)
            return super().edit(backbone, request, observers)

    run_turn(session, backbone, Looking(), EditPlan("a dog", seed=1, region=painted((40, 32), (0, 0, 9, 8))))
    run_turn(session, backbone, Looking(), EditPlan("a dog", seed=1))
    assert seen[0] is not None
    assert seen[0].shape == (1, 20)
    assert seen[0].nonzero()[:, 1].tolist() == [0, 1]
    assert seen[1] is None


def test_the_record_and_the_file(session: Session, backbone: ToyBackbone) -> None:
    turn = run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1, region=LEFT))
    assert turn.region_file == f"regions/{turn.id}.png"
    stored = session.region(turn)
    assert stored is not None
    assert stored.tobytes() == LEFT.tobytes()
    plain = run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1, region=Image.new("L", (40, 32), 255)))
    assert (plain.region_file, session.region(plain)) == (None, None), "white everywhere is no region"
    (session.folder / turn.region_file).write_bytes(png_bytes(Image.new("L", (40, 32), 255)))
    with pytest.raises(SessionError, match="was changed since its turn was made"):
        session.region(turn)


def test_drift_counts_what_the_region_forbade_as_outside(session: Session, backbone: ToyBackbone) -> None:
    turn = run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1, region=LEFT))
    assert turn.drift_previous is not None
    assert (turn.drift_previous.outside, turn.drift_previous.psnr) == (0.5, None)
    masked = run_turn(session, backbone, ToyMethod(), EditPlan("a dog", seed=0, region=LEFT, parent="original"))
    assert masked.drift_previous is not None
    assert masked.drift_previous.outside == 1 - 20 * 20 / (40 * 32), "the mask of seed 0 lies within the region"
    both = run_turn(session, backbone, ToyMethod(), EditPlan("a cow", seed=0, parent=turn.id))
    assert both.drift_original is not None
    assert both.drift_original.outside == 0.5


@pytest.mark.parametrize("branch", ["head", "whole tree"])
def test_replay_repeats_regions_and_restores(
    session: Session, backbone: ToyBackbone, tmp_path: Path, branch: str
) -> None:
    def method(spec: object) -> EditMethod:
        return EVERYWHERE

    first = run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1, region=LEFT))
    run_turn(session, backbone, EVERYWHERE, EditPlan("a bird", seed=3, parent="original"))
    run_turn(session, backbone, EVERYWHERE, EditPlan("a cow", seed=2, parent="original"))
    restore(session, backbone, painted((40, 32), (8, 8, 30, 30)), anchor=first.id)
    again = replay(session, tmp_path / "b", ToyBackbone(), method=method, turn="head" if branch == "head" else None)
    made = {turn.id: turn for turn in again.turns()}
    kept = [turn for turn in session.turns() if turn.id in made]
    assert len(kept) == (4 if branch == "head" else 5), "the restored turn's branch is needed, the third is not"
    assert again.head.id == session.head.id
    for turn in kept:
        for name in turn.files:
            assert again.contents(made[turn.id], name) == session.contents(turn, name)


def test_replay_on_a_picture_of_another_size(session: Session, backbone: ToyBackbone, tmp_path: Path) -> None:
    run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1, region=LEFT))
    with pytest.raises(InputError, match="the picture is 8x8, expected 40x32 pixels: some turns have"):
        replay(session, tmp_path / "b", backbone, image=toy_picture(8, 8), method=lambda spec: EVERYWHERE)
    assert not (tmp_path / "b").exists()


def test_restore_brings_the_source_back_under_the_brush(session: Session, backbone: ToyBackbone) -> None:
    edited = run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1))
    brush = painted((40, 32), (8, 0, 32, 32))
    turn = restore(session, backbone, brush)
    assert (turn.kind, turn.prompt, turn.number, turn.spec, turn.evaluations) == ("restore", "a dog", 2, None, 0)
    assert turn.restore is not None
    assert turn.restore.anchor == session.original.id
    assert session.head == turn
    old, before, after = (pixels(session.picture(t)) for t in (session.original, edited, turn))
    outside, deep = np.asarray(brush) == 0, weights(brush) == 1
    assert np.array_equal(after[outside], before[outside])
    assert np.array_equal(after[deep], old[deep])
    tokens = [packed(session, t, backbone).view(4, 5, -1) for t in (session.original, edited, turn)]
    assert torch.equal(tokens[2][:, 0], tokens[1][:, 0])
    assert torch.equal(tokens[2][:, 2], tokens[0][:, 2]), "tokens deep inside are the original's own"
    assert turn.drift_previous is not None
    assert turn.drift_previous.psnr is None, "outside the brush nothing changed"
    after_it = run_turn(session, backbone, ToyMethod(), EditPlan("a cow", seed=1))
    assert after_it.spec is not None
    assert after_it.spec.source_prompt == "a dog"


def test_restore_refuses_what_makes_no_sense(session: Session, backbone: ToyBackbone) -> None:
    white = Image.new("L", (40, 32), 255)
    with pytest.raises(InputError, match="turn 0 is the turn to restore and to restore from: name an earlier one"):
        restore(session, backbone, white)
    run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1))
    with pytest.raises(InputError, match="nothing may change: the mask is black everywhere"):
        restore(session, backbone, Image.new("L", (40, 32), 0))
    with pytest.raises(InputError, match=r"the mask is 8x8, expected the picture's 40x32 pixels"):
        restore(session, backbone, Image.new("L", (8, 8), 255))
    assert len(session.turns()) == 2
    assert not session.unfinished()
    assert not list((session.folder / "regions").iterdir())
    whole = restore(session, backbone, white)
    assert session.picture(whole).tobytes() == session.picture(session.original).tobytes()


def test_restore_with_other_weights_encodes_again(session: Session, backbone: ToyBackbone) -> None:
    run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1))
    other = ToyBackbone("other weights")
    turn = restore(session, other, painted((40, 32), (8, 0, 32, 32)))
    expected = other.encode([session.picture(session.original)]).packed.view(4, 5, -1)
    assert torch.equal(packed(session, turn, other).view(4, 5, -1)[:, 2], expected[:, 2])


def test_masks_and_protection_combine() -> None:
    only, never = painted((8, 4), (0, 0, 6, 4)), painted((8, 4), (4, 0, 8, 4))
    both = region_of(only, never, (8, 4))
    assert both is not None
    assert np.array_equal(np.asarray(both)[0], [255, 255, 255, 255, 0, 0, 0, 0])
    assert region_of(None, None, (8, 4)) is None
    protected = region_of(None, never, (8, 4))
    assert protected is not None
    assert np.asarray(protected)[0].tolist() == [255] * 4 + [0] * 4
    with pytest.raises(InputError, match="nothing may change"):
        region_of(never, never, (8, 4))
    with pytest.raises(InputError, match="the mask is 8x4, expected the picture's 9x4 pixels"):
        checked(only, (9, 4))


@pytest.mark.parametrize("kept", [(0, 100, 255), (0, 180, 200, 255)])
def test_what_is_protected_in_part_changes_in_part(
    session: Session, backbone: ToyBackbone, tmp_path: Path, kept: tuple[int, ...]
) -> None:
    """What is left of a mask may have two values or dark ones alone: it is no mask that somebody painted so."""
    protect = Image.new("L", (40, 32), 255)
    for place, value in enumerate(kept):
        protect.paste(value, (10 * place, 0, 10 * place + 10, 32))
    only = painted((40, 32), (10, 0, 10 * len(kept) - 10, 32))
    region = region_of(only, protect, (40, 32))
    assert region is not None
    assert np.array_equal(np.asarray(region), np.where(np.asarray(only) > 0, 255 - np.asarray(protect), 0))
    turn = run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1, region=region))
    kept_region = session.region(turn)
    assert kept_region is not None
    assert kept_region.tobytes() == region.tobytes()
    again = replay(session, tmp_path / "b", ToyBackbone(), method=lambda spec: EVERYWHERE)
    assert again.contents(again.head, again.head.image) == session.contents(turn, turn.image)


def test_painted_strokes_on_nothing_count_by_their_opacity(tmp_path: Path) -> None:
    strokes = Image.new("RGBA", (8, 4), (0, 0, 0, 0))
    ImageDraw.Draw(strokes).rectangle((2, 0, 4, 3), fill=(10, 20, 30, 255))
    strokes.save(tmp_path / "mask.png")
    assert np.asarray(read_mask(tmp_path / "mask.png"))[0].tolist() == [0, 0, 255, 255, 255, 0, 0, 0]
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 8), 65535, dtype=np.uint16)).save(buffer, "PNG")
    assert read_mask(buffer.getvalue()).getextrema() == (255, 255)


def test_sessions_of_older_versions_open_and_take_regions(session: Session, backbone: ToyBackbone) -> None:
    old = run_turn(session, backbone, ToyMethod(), EditPlan("a dog", seed=1))
    with closing(sqlite3.connect(session.folder / "session.sqlite", isolation_level=None)) as db:
        db.execute("DROP TRIGGER turns_fixed")
        db.execute(
            "UPDATE turns SET record = json_remove(record, '$.region_file', '$.restore', '$.spec.region_hash')"
        )
    (session.folder / "regions").rmdir()
    opened = Session.open(session.folder)
    assert opened.head == old
    assert opened.region(opened.head) is None
    turn = run_turn(opened, backbone, EVERYWHERE, EditPlan("a cow", seed=1, region=LEFT))
    assert opened.region(turn) is not None


def test_a_killed_restore_is_cleared_away(session: Session, backbone: ToyBackbone) -> None:
    run_turn(session, backbone, EVERYWHERE, EditPlan("a dog", seed=1))
    spec = RestoreSpec(anchor=session.original.id, region_hash="0" * 64)
    pending = session.begin(session.head, "a dog", spec)
    assert [left.spec for left in session.unfinished()] == [spec]
    (session.folder / "regions" / f"{pending.id}.png").write_bytes(b"half written")
    with database.transaction(session.folder, write=True) as db:
        db.execute("UPDATE pending SET process = 'another life'")
    opened = Session.open(session.folder)
    assert not opened.unfinished()
    assert not list((session.folder / "regions").iterdir())


@pytest.mark.parametrize("levels", [(0, 128), (0, 1), (0, 3, 90), (250, 255), (128, 128)])
def test_a_kept_mask_is_read_as_it_was_whatever_its_values(levels: tuple[int, ...]) -> None:
    from undrift.pictures import mask_bytes, open_mask

    mask = Image.new("L", (8, 8))
    mask.putdata([levels[place % len(levels)] for place in range(64)])
    assert open_mask(mask_bytes(mask)).image.tobytes() == mask.tobytes()
