"""LME-Bench and EdiVal in their published layouts, drawn by LittleWorld."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bench.layouts import sequences
from undrift.bench.case import Case
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.errors import InputError, PictureError
from undrift.littleworld.sequences import EditSequence

HEADER = (
    "image_index,turns,task_type,instructions,format_instructions,bg_consistency,unchanged_objects,"
    "available_objects,all_objects"
)


def opened(suite: str, data: Path, variant: str = "default") -> list[Case]:
    return list(open_suite(SuiteSpec(name=suite, variant=variant, data=data)))


def lme_item(sequence: EditSequence, name: str) -> dict[str, Any]:
    said = [edit.label for edit in sequence.edits]
    return {
        "id": name,
        "category": "drawn",
        "source_prompt": sequence.captions[0],
        "turns": said,
        "labels": ["hard", *["local"] * (len(said) - 1)],
    }


def write_lme(folder: Path, drawn: Sequence[EditSequence]) -> None:
    (folder / "images").mkdir()
    items = [lme_item(sequence, f"{number:04}") for number, sequence in enumerate(drawn, 1)]
    for number, sequence in enumerate(drawn, 1):
        sequence.picture(0, 1024).save(folder / "images" / f"{number:04}.png")
    (folder / "lme_bench.json").write_text(json.dumps({"meta": {"name": "LME-Bench"}, "items": items}))


def write_edival(folder: Path, drawn: Sequence[EditSequence]) -> None:
    pictures = folder / "input_images_resize_512"
    pictures.mkdir()
    with (folder / "oai_instruction_generation_output.csv").open("w", newline="") as file:
        file.write(HEADER + "\n")
        rows = csv.writer(file)
        for index, sequence in enumerate(drawn):
            sequence.picture(0, 512).save(pictures / f"{index}_input_raw.{'jpg' if index else 'png'}")
            for turn in range(1, sequence.turns + 1):
                done = sequence.edits[:turn]
                # As published, some instructions stand in quotes of their own.
                said = [f'""{edit.label}""' if number else edit.label for number, edit in enumerate(done)]
                kinds = [edit.type for edit in done]
                rows.writerow([index, turn, kinds, said, said, turn == 1, ["cat"], [], []])


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
        (f"{HEADER}\n0,1,add,\"['a']\",,,,,\n", "row 1: expected numbers and lists of texts"),
        (f"{HEADER}\n0,1,\"['add']\",\"__import__('os').getcwd()\",,,,,\n", "row 1: expected numbers and lists"),
        (f"{HEADER}\n0,2,\"['add']\",\"['put a hat on']\",,,,,\n", "row 1: turn 2 with 1 instructions and 1 kinds"),
        (f"{HEADER}\n0,1,\"['add']\"\n", "row 1: expected numbers and lists of texts"),
    ],
)
def test_tables_that_are_not_what_they_should_be(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "oai_instruction_generation_output.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        opened("edival", tmp_path)
