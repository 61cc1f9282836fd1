"""Exports, comparison, and turns as commands."""

from __future__ import annotations

import json
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.toy import ToyBackbone, ToyMethod, ToyParams, toy_picture
from undrift.errors import InputError, SessionError
from undrift.files import sha256
from undrift.methods.dial import turned
from undrift.pictures import read_metadata, read_picture
from undrift.session import drift
from undrift.session.compare import compare, heat_map
from undrift.session.engine import EditPlan, import_picture, restore, run_turn, start_session
from undrift.session.export import MANIFEST, export_png, export_zip, write_contact_sheet
from undrift.session.model import Turn
from undrift.session.script import commands, python_script
from undrift.session.sheet import contact_sheet
from undrift.session.store import Session


@pytest.fixture
def edited(session: Session, backbone: ToyBackbone) -> Session:
    for seed in (1, 2):
        run_turn(session, backbone, ToyMethod(), EditPlan(f"it's turn {seed}", seed=7))
    return session


def test_exported_png_carries_the_whole_chain(edited: Session, tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    export_png(edited, edited.head, path)
    assert read_picture(path).tobytes() == edited.picture(edited.head).tobytes()
    metadata = read_metadata(path)
    assert [Turn.model_validate(turn) for turn in metadata["turns"]] == list(edited.path(edited.head))
    with pytest.raises(SessionError, match=r"cannot write '.*': no such file or directory"):
        export_png(edited, edited.head, tmp_path / "missing" / "out.png")


def test_zip_is_a_session_again(edited: Session, tmp_path: Path) -> None:
    edited.begin(edited.head, "in work elsewhere")
    export_zip(edited, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    folder = tmp_path / "unpacked" / edited.folder.name
    unpacked = Session.open(folder)
    assert unpacked.tree() == edited.tree()
    assert not unpacked.unfinished()
    hashes = json.loads((folder / MANIFEST).read_text())["sha256"]
    assert len(hashes) == 1 + 3 * 3 - 1
    assert all(sha256((folder / name).read_bytes()) == value for name, value in hashes.items())


def test_compare(edited: Session) -> None:
    same = compare(edited, edited.head, edited.head)
    assert (same.numbers.psnr, same.numbers.changed, same.mean, same.largest) == (None, 0.0, 0.0, 0)
    result = compare(edited, edited.original, edited.head)
    a, b = (np.asarray(edited.picture(turn), int) for turn in (edited.original, edited.head))
    assert result.largest == np.abs(a - b).max()
    assert result.mean == pytest.approx(np.abs(a - b).mean())
    assert result.heat.size == (40, 32)


def test_heat_grows_with_the_difference() -> None:
    grey = np.full((1, 256, 3), 128, dtype=np.uint8)
    other = grey.copy()
    other[0, :, 1] = np.abs(128 - np.arange(256))
    heat = np.asarray(heat_map(Image.fromarray(grey), Image.fromarray(other)).convert("L"), int)[0]
    assert (np.diff(heat[:129]) <= 1).all(), "darker with every step of the difference, but for the ground"
    assert heat[0] > 220
    assert heat[128] < 90
    with pytest.raises(InputError, match="the pictures are 2x1 and 1x1, expected one size"):
        heat_map(Image.new("RGB", (2, 1)), Image.new("RGB", (1, 1)))


@pytest.mark.parametrize(
    ("grid", "size", "token"),
    [((3, 2), (48, 32), 16), ((3, 2), (33, 17), 16), ((5, 4), (40, 32), 8), ((1, 1), (1, 1), 1)],
)
def test_the_token_side_of_old_sessions_follows_from_grid_and_picture(
    grid: tuple[int, int], size: tuple[int, int], token: int
) -> None:
    assert drift.unrecorded_token_side(grid, size) == token


def test_contact_sheet(edited: Session, tmp_path: Path) -> None:
    write_contact_sheet(edited, tmp_path / "sheet.png")
    sheet = read_picture(tmp_path / "sheet.png")
    assert sheet.width > 3 * 256
    assert sheet.height > 3 * 205
    one = contact_sheet(edited, [edited.head])
    assert one.width < sheet.width


def test_contact_sheet_of_many_turns_and_long_prompts(session: Session, backbone: ToyBackbone) -> None:
    for seed in range(7):
        run_turn(
            session, backbone, ToyMethod(ToyParams(steps=1)), EditPlan("long prompt " * 40 + str(seed), seed=seed)
        )
    sheet = contact_sheet(session)
    assert sheet.width < 1700, "a second band, no wider sheet"


def test_extreme_pictures_have_a_sheet(tmp_path: Path, backbone: ToyBackbone) -> None:
    for name, size in (("wide", (400, 3)), ("tall", (3, 400))):
        session = start_session(tmp_path / name, toy_picture(*size), "", backbone)
        run_turn(session, backbone, ToyMethod(), EditPlan("x", seed=1))
        assert contact_sheet(session).width < 900


def test_commands_of_equal_turns_are_one_run(edited: Session) -> None:
    (line,) = commands(edited, edited.head)
    words = shlex.split(line)
    assert words[:3] == ["undrift", "run", str(edited.folder / edited.original.image)]
    assert words[3:9] == ["--prompt", "a cat", "--edit", "it's turn 1", "--edit", "it's turn 2"]
    assert words[9:] == [
        *("--session", "undrift-again"),
        *("--model", "toy", "--weights", "toy-weights", "--dtype", "fp32", "--device", "cpu", "--quantize", "none"),
        *("--method", "toy", "--seed", "7", "--handover", "latent"),
        *("--set", "steps=4", "--set", "strength=0.6", "--set", "masked=true", "--recorded-as", "default"),
    ]


def test_commands_of_different_turns(edited: Session, backbone: ToyBackbone) -> None:
    run_turn(edited, backbone, ToyMethod(), EditPlan("three", source_prompt="now", words=("a", "b"), seed=8))
    lines = commands(edited, edited.head)
    assert [shlex.split(line)[1] for line in lines] == ["new", "edit", "edit", "edit"]
    last = shlex.split(lines[-1])
    assert last[2:9] == ["three", "--source-prompt", "now", "--session", "undrift-again", "--words", "a,b"]
    import_picture(edited, Image.new("RGB", (40, 32)), "black", backbone)
    with pytest.raises(InputError, match="put in by hand"):
        commands(edited, edited.head)


def test_what_begins_with_a_dash_is_no_option(session: Session, backbone: ToyBackbone) -> None:
    run_turn(session, backbone, ToyMethod(), EditPlan("--help", source_prompt="-p", seed=8, words=()))
    words = shlex.split(commands(session, session.head)[-1])
    assert words[:4] == ["undrift", "edit", "--source-prompt", "-p"]
    assert words[words.index("--words") + 1] == "[]"
    assert words[-2:] == ["--", "--help"]


def test_a_prompt_that_cannot_be_typed(session: Session, backbone: ToyBackbone) -> None:
    run_turn(session, backbone, ToyMethod(), EditPlan("a\0b", seed=8))
    with pytest.raises(InputError, match="holds a NUL character, which cannot be typed"):
        commands(session, session.head)


def test_files_are_named_by_their_full_paths(
    edited: Session, tmp_path: Path, backbone: ToyBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(edited.folder.parent)
    relative = Session.open(edited.folder.name)
    run_turn(relative, backbone, ToyMethod(), EditPlan("three", seed=8, region=half()))
    source, region = str(edited.folder / relative.original.image), str(edited.folder / str(relative.head.region_file))
    lines = [shlex.split(line) for line in commands(relative, relative.head)]
    assert lines[0][2] == source
    assert region in lines[-1]
    assert all(repr(path) in python_script(relative, relative.head) for path in (source, region))


def half() -> Image.Image:
    region = Image.new("L", (40, 32), 0)
    region.paste(255, (0, 0, 20, 32))
    return region


def test_commands_with_regions_and_restores(edited: Session, backbone: ToyBackbone) -> None:
    other = edited.head
    edited.undo()
    regional = run_turn(edited, backbone, ToyMethod(), EditPlan("half of it", seed=7, region=half()))
    restored = restore(edited, backbone, half(), anchor="original")
    *_, edit, again = (shlex.split(line) for line in commands(edited, edited.head))
    assert edit[edit.index("--only") + 1] == str(edited.folder / str(regional.region_file))
    assert again[1:] == [
        *("restore", "--brush", str(edited.folder / str(restored.region_file))),
        *("--from", "0", "--session", "undrift-again"),
    ]
    restore(edited, backbone, half(), anchor=other.id)
    for write in (commands, python_script):
        with pytest.raises(InputError, match="a turn of another branch was put back on the way to this turn"):
            write(edited, edited.head)


def test_one_run_for_turns_with_one_region(session: Session, backbone: ToyBackbone) -> None:
    for prompt in ("one", "two"):
        run_turn(session, backbone, ToyMethod(), EditPlan(prompt, seed=7, region=half()))
    (line,) = commands(session, session.head)
    assert shlex.split(line).count("--only") == 1
    run_turn(session, backbone, ToyMethod(), EditPlan("three", seed=7))
    assert len(commands(session, session.head)) == 4


def test_commands_of_the_source(session: Session) -> None:
    assert [shlex.split(line)[1] for line in commands(session, session.original)] == ["new"]


def test_the_script_makes_the_same_turn(
    edited: Session, backbone: ToyBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import undrift
    from undrift.methods import registry

    import_picture(edited, Image.new("RGB", (40, 32)), "black", backbone)
    run_turn(edited, backbone, ToyMethod(ToyParams(masked=False)), EditPlan("after", seed=3, region=half()))
    restore(edited, backbone, half(), anchor="1")
    dialled = turned(ToyMethod(), 0.5)
    run_turn(edited, backbone, dialled, EditPlan("last", seed=4, handover="image"))
    script = python_script(edited, edited.head)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(undrift, "load", lambda name, **held: {"toy": ToyBackbone}[name](), raising=False)
    monkeypatch.setattr(registry, "all_methods", lambda: {"toy": ToyMethod})
    exec(compile(script, "script", "exec"), {})
    again = Session.open(tmp_path / "undrift-again")
    assert again.turns() == tuple(
        turn.model_copy(update={"created": copy.created, "seconds": copy.seconds})
        for turn, copy in zip(edited.turns(), again.turns(), strict=True)
    )
