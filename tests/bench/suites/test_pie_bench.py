"""Sequences drawn by LittleWorld, written as PIE-Bench, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bench.layouts import PIE_TYPES, sequences, write_pie, write_pie_pp
from undrift.bench.case import Case, Mask
from undrift.bench.data.pie import PICTURES, SIZE, TYPES
from undrift.bench.data.prompts import MultiTurn, Round, write_file
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.errors import InputError, PictureError
from undrift.littleworld.sequences import EditSequence

WRITERS = {"pie-bench": write_pie, "pie-bench-pp": write_pie_pp}
Written = tuple[Path, dict[str, EditSequence]]


@pytest.fixture(scope="module", params=list(WRITERS))
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def written(suite: str, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("data") / suite
    return folder, WRITERS[suite](folder, sequences(6))


def opened(suite: str, folder: Path, variant: str = "default") -> dict[str, Case]:
    return {case.id: case for case in open_suite(SuiteSpec(name=suite, variant=variant, data=folder))}


def bordered(mask: Mask) -> Mask:
    mask = mask.copy()
    mask[[0, -1], :] = mask[:, [0, -1]] = True
    return mask


def test_pictures_masks_and_prompts_come_back(suite: str, written: Written) -> None:
    folder, shown = written
    cases = opened(suite, folder)
    assert list(cases) == sorted(shown)
    assert {case.tasks[0].edit_type for case in cases.values()} == {TYPES[kind] for kind in PIE_TYPES.values()}
    for name, sequence in shown.items():
        case, edit = cases[name], sequence.edits[0]
        assert (case.tasks[0].source_prompt, case.tasks[0].target_prompt) == (edit.source_prompt, edit.target_prompt)
        assert case.tasks[0].edit_type == TYPES[int(name[0])]
        mask = case.mask(1)
        assert mask is not None
        assert np.array_equal(mask, bordered(sequence.mask(1, SIZE)))
        drawn = np.asarray(sequence.picture(0, SIZE)).astype(int)
        read = np.asarray(case.original()).astype(int)
        assert np.abs(drawn - read).mean() <= (2.0 if suite == "pie-bench" else 0.0)
        assert case.truth(1) is None


def test_words_are_the_blended_word_of_the_target(suite: str, written: Written) -> None:
    folder, shown = written
    cases = opened(suite, folder)
    for name, sequence in shown.items():
        edit = sequence.edits[0]
        both = edit.before and edit.after and edit.type != "background"
        expected = (edit.after.split()[-1],) if both and edit.after else cases[name].tasks[0].words
        assert cases[name].tasks[0].words == expected
    assert any(case.tasks[0].words for case in cases.values())


def test_instructions(suite: str, written: Written) -> None:
    folder, shown = written
    for name, case in opened(suite, folder).items():
        edit = shown[name].edits[0]
        said = case.tasks[0].instruction
        if suite == "pie-bench":
            assert said == edit.label
        elif edit.type == "add":
            assert said == f"add {edit.after}"
        elif edit.type == "delete":
            assert said == f"remove {edit.before}"
        else:
            assert said == f"replace {edit.before} with {edit.after}"


def prompts_for(name: str, sequence: EditSequence, first: str | None = None) -> MultiTurn:
    """Two turns: the sequence's own edit, or ``first``, then a change of style."""
    captions = [sequence.captions[0], first or sequence.captions[1], "a watercolour"]
    kinds = [int(name[0]), 9]
    rounds = [
        Round(type=kind, source_prompt=old, target_prompt=new)
        for kind, old, new in zip(kinds, captions, captions[1:], strict=False)
    ]
    return MultiTurn(id=name, original_prompt=captions[0], rounds=tuple(rounds))


def test_multi_turn_prompts(suite: str, written: Written) -> None:
    """Prompts may lie in the data's folder or beside it; only round 1 of the benchmark's own edit has a mask."""
    folder, shown = written
    own, other = sorted(shown)[:2]
    write_file(folder / "MTC_prompts", prompts_for(own, shown[own]))
    write_file(folder / "MTC_prompts", prompts_for(other, shown[other], first="something else"))
    cases = opened(suite, folder, "multi-turn")
    assert list(cases) == [own, other]
    assert [task.target_prompt for task in cases[own].tasks] == [shown[own].captions[1], "a watercolour"]
    assert [task.edit_type for task in cases[own].tasks] == [TYPES[int(own[0])], "change style"]
    mask = cases[own].mask(1)
    assert mask is not None
    assert np.array_equal(mask, bordered(shown[own].mask(1, SIZE)))
    assert cases[own].mask(2) is None
    assert cases[own].mask_since_original(2) is None
    assert cases[other].mask(1) is None
    (folder / "MTC_prompts").rename(folder.parent / "MTC_prompts")
    assert list(opened(suite, folder, "multi-turn")) == [own, other]


def test_prompts_of_an_unknown_picture(suite: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (name, sequence), *_ = WRITERS[suite](folder, sequences(1)).items()
    write_file(folder / "MTC_prompts", prompts_for(name[:-1] + "9", sequence))
    with pytest.raises(InputError, match=f"MTC_prompts/{name[:-1]}9' belongs to no picture of"):
        opened(suite, folder, "multi-turn")


def test_no_prompts_at_all(suite: str, tmp_path: Path) -> None:
    WRITERS[suite](tmp_path / "data", sequences(1))
    with pytest.raises(InputError, match=r"no folder MTC_prompts in .* write the prompts: undrift bench make-turns"):
        opened(suite, tmp_path / "data", "multi-turn")


def test_pictures_of_another_size_are_not_resized(tmp_path: Path) -> None:
    name, *_ = write_pie(tmp_path, sequences(1))
    case = opened("pie-bench", tmp_path)[name]
    file = next((tmp_path / PICTURES).rglob("*.jpg"))
    Image.new("RGB", (500, 400)).save(file)
    with pytest.raises(PictureError, match=r"has 500x400 pixels, PIE-Bench pictures have 512x512: use the originals"):
        case.original()
    file.unlink()
    with pytest.raises(PictureError, match="no picture at"):
        case.original()


def test_the_hubs_converted_layout_is_read_too(tmp_path: Path) -> None:
    shown = write_pie_pp(tmp_path, sequences(1))
    file = next(tmp_path.rglob("*.parquet"))
    (file.parent / "V1").mkdir()
    file.rename(file.parent / "V1" / "0000.parquet")
    assert list(opened("pie-bench-pp", tmp_path)) == list(shown)


def test_nothing_there(suite: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"suite {suite} reads its data from a folder: name it with --data"):
        open_suite(SuiteSpec(name=suite))
    with pytest.raises(InputError, match="no data at"):
        opened(suite, tmp_path / "missing")
    with pytest.raises(InputError, match=r"is no PIE-Bench folder|no PIE-Bench\+\+ in"):
        opened(suite, tmp_path)
