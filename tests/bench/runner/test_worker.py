"""How turns are made: in batches that equal single turns, each failure on its own."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.bench.runner.support import Failing, PictureCase, counted, hashes, job, make, order, records
from tests.support.toy import ToyBackbone
from undrift.backbones import Backbone
from undrift.bench.case import Mask
from undrift.bench.records import RunFolder, TurnRecord
from undrift.bench.runner.methods import specs
from undrift.bench.runner.place import Here
from undrift.bench.runner.plan import plan
from undrift.bench.runner.start import begin
from undrift.bench.runner.worker import Worker
from undrift.bench.suites.base import SuiteSpec
from undrift.errors import SessionError
from undrift.pictures import read_picture

TWO = SuiteSpec(name="littleworld", variant="quick", limit=2, turns=2)
BATCHED = ("multi_turn::steps=3;highlight_start=1", "flowedit::steps=3;n_max=2", "rf_inversion::steps=3")


def errors(found: list[TurnRecord]) -> dict[tuple[str, int], str]:
    return {(record.case, record.turn): record.error for record in found if record.error is not None}


@pytest.mark.slow
def test_a_batch_gives_the_pictures_of_single_turns(tmp_path: Path, littleworld: Backbone) -> None:
    """Not the same bits (a matrix product of more rows sums in another order), but within one step of 255."""
    with counted(littleworld) as rows:
        together = make(tmp_path / "together", littleworld, order(BATCHED, TWO, batch=2))
    assert set(rows) == {2}
    singly = make(tmp_path / "singly", littleworld, order(BATCHED, TWO, batch=1))
    pairs = zip(records(together), records(singly), strict=True)
    for a, b in pairs:
        assert (a.label, a.case, a.turn, a.seed, a.evaluations) == (b.label, b.case, b.turn, b.seed, b.evaluations)
        assert (a.batch, b.batch) == (2, 1)
        first, second = (
            np.asarray(read_picture(run.folder(r.label, r.case) / str(r.image)), dtype=int)
            for run, r in ((together, a), (singly, b))
        )
        assert np.abs(first - second).max() <= 1


def test_every_record_says_what_the_turn_took(tmp_path: Path) -> None:
    cases = [PictureCase("a"), PictureCase("b")]
    run = make(tmp_path, ToyBackbone(), order(["reflow::steps=3"], seed=5), cases)
    first, second, *_ = records(run, cases)
    assert (first.turn, second.turn) == (1, 2)
    assert (first.seed, second.seed) == (5 + cases[0].seed, 6 + cases[0].seed)
    assert (first.source_prompt, first.target_prompt, first.edit_type) == ("a 0", "a 1", "replace")
    assert first.evaluations == 6
    assert first.seconds > 0
    assert (first.peak_memory or 0) > 10 * 2**20
    assert (first.batch, first.device, first.error) == (2, "cpu", None)


class HalfCase(PictureCase):
    """Only the left half may change, which is known for the first turn alone."""

    def mask(self, turn: int) -> Mask | None:
        half = np.zeros((16, 16), dtype=bool)
        half[:, :8] = True
        return half if turn == 1 else None


def test_an_oracle_edits_within_the_true_mask_and_keeps_every_bit_outside(tmp_path: Path) -> None:
    cases = [HalfCase("a", turns=1), HalfCase("b", turns=1)]
    words = ["flowedit::steps=2;n_max=2", "flowedit::steps=2;n_max=2;oracle=true"]
    run = make(tmp_path, ToyBackbone(), order(words, batch=2), cases)
    free, told = (
        [
            np.asarray(read_picture(run.folder(r.label, r.case) / str(r.image)), dtype=int)
            for r in records(run, cases)
        ][start : start + 2]
        for start in (0, 2)
    )
    for case, alone, masked in zip(cases, free, told, strict=True):
        before = np.asarray(case.original(), dtype=int)
        assert np.array_equal(masked[:, 8:], before[:, 8:])
        assert np.array_equal(masked[:, :6], alone[:, :6]), "further in than the seam it is what the method makes"
        assert np.abs(alone - before)[:, 8:].max() > 8, "without the mask it changes there, too"


def test_an_oracle_without_a_mask_fails_that_turn_alone(tmp_path: Path) -> None:
    cases = [HalfCase("a", turns=2)]
    run = make(tmp_path, ToyBackbone(), order(["no_edit::oracle=true"]), cases)
    assert errors(records(run, cases)) == {
        ("a", 2): "case a has no true mask for turn 2: an oracle cannot be told it"
    }


def test_each_original_is_encoded_once_for_all_methods(tmp_path: Path) -> None:
    backbone = ToyBackbone()
    cases = [PictureCase("a"), PictureCase("b"), PictureCase("c")]
    make(tmp_path, backbone, order(["reflow::steps=1", "no_edit", "flowedit::steps=1;n_max=1"], batch=2), cases)
    assert backbone.encoded == 3


def test_pictures_are_handed_on_if_asked(tmp_path: Path) -> None:
    backbone, cases = ToyBackbone(), [PictureCase("a", turns=3)]
    make(tmp_path, backbone, order(["no_edit"], handover="image"), cases)
    assert backbone.encoded == 1 + 2


def test_only_pictures_of_one_size_share_a_batch() -> None:
    sizes = [(16, 16), (8, 16), (16, 16), (16, 16), (8, 16)]
    cases = [PictureCase(f"c{n}", size) for n, size in enumerate(sizes)] + [PictureCase("gone", missing=True)]
    units = plan(cases, specs(["no_edit", "reflow"], {}), 2)
    assert [(unit.label, *unit.cases) for unit in units] == [
        (label, *together)
        for together in (("c0", "c2"), ("c3",), ("c1", "c4"), ("gone",))
        for label in ("no_edit", "reflow")
    ]


def test_a_missing_original_is_one_error(tmp_path: Path) -> None:
    cases = [PictureCase("a"), PictureCase("gone", missing=True), PictureCase("b")]
    run = make(tmp_path, ToyBackbone(), order(["no_edit"]), cases)
    assert errors(records(run, cases)) == {("gone", 1): "'gone.png' is missing"}
    assert [(r.case, r.turn) for r in records(run, cases) if r.image] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]


def test_a_failing_method_is_one_error_of_the_case_that_it_fails_on(tmp_path: Path, failing: type[Failing]) -> None:
    failing.fails_at = {"b 2"}
    cases = [PictureCase("a", turns=3), PictureCase("b", turns=3), PictureCase("c", turns=3)]
    run = make(tmp_path, ToyBackbone(), order(["failing"]), cases)
    assert errors(records(run, cases)) == {("b", 2): "ValueError: cannot do b 2"}
    made = [(record.case, record.turn, record.batch) for record in records(run, cases) if record.image]
    assert made == [("a", 1, 3), ("a", 2, 1), ("a", 3, 2), ("b", 1, 3), ("c", 1, 3), ("c", 2, 1), ("c", 3, 2)]
    assert failing.seen[1:] == [("a 2", "b 2", "c 2"), ("a 2",), ("b 2",), ("c 2",), ("a 3", "c 3")]


def test_what_failed_is_tried_again_by_the_next_start_and_nothing_else(
    tmp_path: Path, failing: type[Failing]
) -> None:
    failing.fails_at = {"b 1"}
    cases = [PictureCase("a"), PictureCase("b")]
    make(tmp_path, ToyBackbone(), order(["failing"]), cases)
    failing.fails_at.clear()
    failing.seen.clear()
    run = make(tmp_path, ToyBackbone(), order(["failing"]), cases)
    assert failing.seen == [("b 1",), ("b 2",)]
    assert errors(records(run, cases)) == {}
    assert len(records(run, cases)) == 4


def test_a_turn_that_is_there_is_not_made_again_because_its_batch_fails(
    tmp_path: Path, failing: type[Failing]
) -> None:
    cases = [PictureCase("a", turns=1), PictureCase("b", turns=1)]
    run = make(tmp_path, ToyBackbone(), order(["failing"]), cases)
    (run.folder("failing", "b") / "1.png").unlink()
    failing.fails_at = {"b 1"}
    failing.seen.clear()
    make(tmp_path, ToyBackbone(), order(["failing"]), cases)
    assert failing.seen == [("a 1", "b 1"), ("b 1",)]
    assert errors(records(run, cases)) == {("b", 1): "ValueError: cannot do b 1"}


def test_a_full_disk_stops_with_one_line_and_the_next_start_goes_on(
    tmp_path: Path, failing: type[Failing], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [PictureCase("a"), PictureCase("b")]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_after(8))
        with pytest.raises(SessionError, match=r"^cannot write '.*': no space left on device$"):
            make(tmp_path / "run", ToyBackbone(), order(["failing"]), cases)
    assert not list(tmp_path.rglob("*.tmp"))
    done = len(records(RunFolder(tmp_path / "run"), cases))
    assert 0 < done < 4
    failing.seen.clear()
    again = make(tmp_path / "run", ToyBackbone(), order(["failing"]), cases)
    assert failing.seen == [("a 1", "b 1"), ("a 2", "b 2")][-len(failing.seen) :]
    assert hashes(again) == hashes(make(tmp_path / "whole", ToyBackbone(), order(["failing"]), cases))


def full_after(writes: int) -> Callable[[int], None]:
    left = iter(range(writes))

    def fsync(handle: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")

    return fsync


@pytest.mark.parametrize("name", ["1.png", "1.safetensors"])
@pytest.mark.parametrize("damage", [b"", b"no picture", None])
def test_a_damaged_file_of_an_earlier_turn_is_made_again(
    tmp_path: Path, failing: type[Failing], name: str, damage: bytes | None
) -> None:
    cases = [PictureCase("a"), PictureCase("b")]
    run = make(tmp_path, ToyBackbone(), order(["failing"]), cases)
    before, file = hashes(run), run.folder("failing", "b") / name
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
    failing.seen.clear()
    make(tmp_path, ToyBackbone(), order(["failing"]), cases)
    assert failing.seen == [("a 1", "b 1")], "the whole batch, so that the picture gets the same bits"
    assert hashes(run) == before


@pytest.mark.parametrize("end", [b"", b'{"label": 3}\n', b"\xff\xfe\n"])
def test_a_damaged_line_of_the_records_is_made_again(tmp_path: Path, failing: type[Failing], end: bytes) -> None:
    cases = [PictureCase("a", turns=3)]
    run = make(tmp_path, ToyBackbone(), order(["failing"]), cases)
    before, file = hashes(run), run.folder("failing", "a") / "records.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:2]) + end)
    failing.seen.clear()
    make(tmp_path, ToyBackbone(), order(["failing"]), cases)
    assert failing.seen == [("a 3",)]
    assert (hashes(run), len(records(run, cases))) == (before, 3)


def test_a_finished_run_does_nothing(tmp_path: Path, failing: type[Failing]) -> None:
    backbone, cases = ToyBackbone(), [PictureCase("a")]
    make(tmp_path, backbone, order(["failing"]), cases)
    failing.seen.clear()
    backbone.encoded = 0
    make(tmp_path, backbone, order(["failing"]), cases)
    assert (failing.seen, backbone.encoded) == ([], 0)


def test_giving_up_is_an_error_of_what_is_not_finished(tmp_path: Path) -> None:
    cases, backbone = [PictureCase("a"), PictureCase("b")], ToyBackbone()
    run = make(tmp_path, backbone, order(["no_edit"]), cases)
    (run.folder("no_edit", "b") / "2.png").unlink()
    todo = job(run, run.manifest(), cases)
    Worker(run, run.manifest(), todo.by_id(), backbone).give_up(todo.units[0], "3 workers died of it")
    assert errors(records(run, cases)) == {("b", 2): "RuntimeError: 3 workers died of it"}


def test_told_hears_of_every_turn(tmp_path: Path) -> None:
    run, cases, backbone = RunFolder(tmp_path), [PictureCase("a"), PictureCase("x", missing=True)], ToyBackbone()
    manifest = begin(order(["no_edit"]), run, backbone.identity, {})
    heard: list[TurnRecord] = []
    Here(backbone).work(job(run, manifest, cases), heard.append)
    assert heard == records(run, cases)
    assert json.loads((run.folder("no_edit", "x") / "records.jsonl").read_text())["image"] is None
