"""Sessions, archives and pictures that earlier versions wrote open as they always did (see ``written_by_0_1``)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from undrift.backbones import Backbone, load
from undrift.session.provenance import recall
from undrift.session.replay import recorded_method, replay
from undrift.session.script import commands, python_script
from undrift.session.store import Session
from undrift.session.unpack import import_zip

OLD = Path(__file__).parent / "written_by_0_1"
ORIGINAL = "a yellow dog next to a red cactus on a beach"
PINK = "a yellow dog next to a pink cactus on a beach"
SNOW = "a yellow dog next to a pink cactus in the snow"
KINDS = ["edit", "edit", "restore", "edit", "import"]


def unzipped(folder: Path) -> Session:
    """The folder itself, as a copy of it would arrive."""
    with zipfile.ZipFile(OLD / "session.zip") as archive:
        archive.extractall(folder)
    return Session.open(folder / "old")


@pytest.fixture(params=["folder", "archive"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Session:
    return unzipped(tmp_path) if request.param == "folder" else import_zip(OLD / "session.zip", tmp_path / "s")


@pytest.fixture(scope="module")
def littleworld() -> Backbone:
    return load("littleworld", device="cpu")


def test_the_tree_is_the_one_that_was_written(session: Session) -> None:
    tree = session.tree()
    original, pink, snow, restored, reverted, painted = tree.turns.values()
    assert [turn.kind for turn in tree.turns.values()] == ["original", *KINDS], "once called source"
    assert tree.original == original
    assert (original.number, original.prompt, original.parent) == (0, ORIGINAL, None)
    assert (tree.head, tree.branch, dict(tree.branches)) == (
        restored,
        "main",
        {"main": restored.id, "other": painted.id},
    )
    assert [turn.prompt for turn in tree.path(restored)] == [ORIGINAL, PINK, SNOW, SNOW]
    assert [turn.id for turn in tree.children(pink)] == [snow.id, reverted.id, painted.id]


def test_a_turn_says_how_it_was_made(session: Session) -> None:
    _, pink, snow, restored, reverted, _ = session.turns()
    assert pink.spec is not None
    assert (pink.spec.method, pink.spec.preset, pink.spec.params["steps"], pink.spec.seed) == (
        "multi_turn",
        "fast",
        8,
        7,
    )
    assert snow.spec is not None
    assert (snow.spec.preset, snow.spec.words, snow.spec.source_prompt) == ("custom", ("snow",), PINK)
    assert reverted.spec is not None
    assert (reverted.spec.method, reverted.spec.params["method"]) == ("revert_unchanged", "fireflow")
    assert restored.restore is not None
    assert restored.restore.anchor == session.original.id
    assert pink.drift_original is not None
    assert pink.drift_original.psnr == pytest.approx(18.198057)


def test_pictures_masks_and_regions_are_there(session: Session) -> None:
    original, pink, snow, restored, *_ = session.turns()
    assert {session.picture(turn).size for turn in session.turns()} == {(48, 32)}
    mask = session.mask(pink)
    assert mask is not None
    assert mask.size == (3, 2), "one pixel a token"
    boxes = [region and region.getbbox() for region in map(session.region, (original, pink, snow, restored))]
    assert boxes == [None, None, (8, 8, 32, 24), (0, 0, 16, 16)]


def test_its_turns_are_told_as_commands_and_as_a_script(session: Session) -> None:
    told = commands(session, session.turns()[2])
    assert len(told) == 3
    assert "--seed 7" in told[1]
    assert told[1].endswith("--recorded-as fast")
    assert "--set steps=2" in told[2]
    assert "'preset': 'fast'" in python_script(session, session.turns()[2])


def test_an_exported_picture_tells_its_turns() -> None:
    found = recall(OLD / "exported.png")
    assert [turn.prompt for turn in found.turns] == [ORIGINAL, PINK, SNOW, SNOW]
    assert [turn.kind for turn in found.turns] == ["original", "edit", "edit", "restore"]
    assert [turn.spec and turn.spec.seed for turn in found.turns] == [None, 7, 8, None]


@pytest.mark.slow
def test_every_turn_can_be_made_again(tmp_path: Path, littleworld: Backbone) -> None:
    old = unzipped(tmp_path)
    new = replay(old, tmp_path / "new", littleworld)
    assert [turn.kind for turn in new.turns()][1:] == KINDS
    for before, after in zip(old.turns(), new.turns(), strict=True):
        assert (after.number, after.prompt) == (before.number, before.prompt)
        if before.spec is not None and after.spec is not None:
            assert recorded_method(after.spec).params == recorded_method(before.spec).params
    assert new.head.prompt == SNOW
