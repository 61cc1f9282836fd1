"""LME-Bench and EdiVal in their published layouts, drawn by LittleWorld."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bench.layouts import EDIVAL_HEADER, lme_item, sequences, write_edival, write_lme
from undrift.bench.case import Case
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.errors import InputError, PictureError

HEAD = f"{EDIVAL_HEADER}\n"


def opened(suite: str, data: Path, variant: str = "default") -> list[Case]:
    return list(open_suite(SuiteSpec(name=suite, variant=variant, data=data)))


def test_lme_bench(tmp_path: Path) -> None:
    drawn = sequences(2, turns=6)
    write_lme(tmp_path, drawn)
    cases = opened("lme-bench", tmp_path)
    assert [case.id for case in cases] == ["0001", "0002"]
    for case, sequence in zip(cases, drawn, strict=True):
        said = [edit.label for edit in sequence.edits]
        assert [task.instruction for task in case.tasks] == said
        assert [task.edit_type for task in case.tasks] == ["hard", *["local"] * 5]
        assert case.tasks[0].source_prompt == sequence.captions[0]
        assert case.tasks[1].target_prompt == f"{sequence.captions[0]}, {said[0]}, {said[1]}"
        assert [case.seed_of(turn) for turn in (1, 2, 6)] == [42, 42, 42]
        assert case.original().size == (512, 512)
        near = np.asarray(case.original(), int) - np.asarray(sequence.picture(0, 512), int)
        assert np.abs(near).mean() < 3
        assert case.mask(1) is None
    (published, _) = opened("lme-bench", tmp_path, "1024")
    assert np.array_equal(np.asarray(published.original()), np.asarray(drawn[0].picture(0, 1024)))


def test_captions_beside_lme_bench_are_its_prompts(tmp_path: Path) -> None:
    (sequence,) = sequences(1, turns=3)
    write_lme(tmp_path, [sequence])
    (tmp_path / "captions.json").write_text(json.dumps({"0001": sequence.captions}))
    (case,) = opened("lme-bench", tmp_path)
    assert [task.target_prompt for task in case.tasks] == list(sequence.captions[1:])


def test_edival(tmp_path: Path) -> None:
    drawn = sequences(3, turns=3)
    write_edival(tmp_path, drawn)
    cases = opened("edival", tmp_path)
    assert [case.id for case in cases] == ["000", "001", "002"]
    for case, sequence in zip(cases, drawn, strict=True):
        said = [edit.label for edit in sequence.edits]
        assert [task.instruction for task in case.tasks] == said, (
            "the longest list of a picture, without stray quotes"
        )
        assert [task.edit_type for task in case.tasks] == [edit.type for edit in sequence.edits]
        assert case.tasks[2].target_prompt == ", ".join(["a photo", *said])
        assert [case.seed_of(turn) for turn in (1, 3)] == [1234, 1234]
        assert case.original().size == (512, 512)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda item: item.update(labels=["hard"]), r"3 turns and 1 labels, expected as many"),
        (lambda item: item.update(turns=[], labels=[]), "turns"),
        (lambda item: item.update(id="../up"), "id"),
        (lambda item: item.pop("source_prompt"), "source_prompt"),
    ],
)
def test_sessions_that_are_not_what_they_should_be(tmp_path: Path, change: Any, message: str) -> None:
    item = lme_item(sequences(1, turns=3)[0], "0001")
    change(item)
    (tmp_path / "lme_bench.json").write_text(json.dumps({"items": [item]}))
    with pytest.raises(InputError, match=message):
        opened("lme-bench", tmp_path)


def test_two_sessions_with_one_id_and_missing_data(tmp_path: Path) -> None:
    item = lme_item(sequences(1, turns=3)[0], "0001")
    (tmp_path / "lme_bench.json").write_text(json.dumps({"items": [item, item]}))
    with pytest.raises(InputError, match="has session 0001 twice"):
        opened("lme-bench", tmp_path)
    (tmp_path / "lme_bench.json").write_text(json.dumps({"items": [item]}))
    with pytest.raises(PictureError, match=r"0001\.png"):
        opened("lme-bench", tmp_path)[0].original()
    (tmp_path / "none").mkdir()
    for suite, file in (("lme-bench", "lme_bench.json"), ("edival", "oai_instruction_generation_output.csv")):
        with pytest.raises(InputError, match=f"expected {file}"):
            opened(suite, tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_index,turns\n0,1\n", "has no column task_type, expected image_index, turns, task_type, instructions"),
        (HEAD + "0,1,add,\"['a']\",,,,,\n", "row 1: expected numbers and lists of texts"),
        (
            f"{EDIVAL_HEADER}\n0,1,\"['add']\",\"__import__('os').getcwd()\",,,,,\n",
            "row 1: expected numbers and lists",
        ),
        (
            f"{EDIVAL_HEADER}\n0,2,\"['add']\",\"['put a hat on']\",,,,,\n",
            "row 1: turn 2 with 1 instructions and 1 kinds",
        ),
        (HEAD + "0,1,\"['add']\"\n", "row 1: expected numbers and lists of texts"),
    ],
)
def test_tables_that_are_not_what_they_should_be(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "oai_instruction_generation_output.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        opened("edival", tmp_path)
