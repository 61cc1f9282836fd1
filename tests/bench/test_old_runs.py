"""A run folder that an earlier version wrote is read as it always was (see ``written_by_0_1``)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from undrift.bench.metrics.registry import all_metrics
from undrift.bench.records import RunFolder, by_current_name
from undrift.bench.report.write import write_report
from undrift.bench.runner import scoring
from undrift.bench.suites.registry import open_suite

OLD = Path(__file__).parent / "written_by_0_1"


def test_every_name_of_then_is_a_metric_of_now() -> None:
    run = RunFolder(OLD)
    numbers = [line.values for case in ("lw-000", "lw-001") for line in run.scores("no_edit", case).values()]
    numbers += run.sets()["no_edit"].values()
    assert [len(values) for values in numbers] == [39] * 4 + [4] * 2
    assert {name for values in numbers for name in values} <= set(all_metrics())


def test_the_numbers_are_those_that_were_written() -> None:
    line = (OLD / "turns/no_edit/lw-000/scores.jsonl").read_text().splitlines()[0]
    written = json.loads(line)["values"]
    read = RunFolder(OLD).scores("no_edit", "lw-000")[1].values
    assert read["original-psnr-outside"] == written["source-psnr-outside"] == pytest.approx(26.174331788685)
    assert read["drift-rate-since-original"] == written["drift-rate-since-source"] == 0.0
    assert list(read.values()) == list(written.values())
    assert RunFolder(OLD).sets()["no_edit"][1]["fid-littleworld-original"] == pytest.approx(0.0191945210)


def test_it_is_gone_on_with_and_nothing_is_measured_again(tmp_path: Path) -> None:
    run = RunFolder(shutil.copytree(OLD, tmp_path / "run"))
    before = {file: file.read_bytes() for file in run.path.rglob("*.json*")}
    known = [*run.scores("no_edit", "lw-000")[1].values, *run.sets()["no_edit"][1]]
    measures = [metric for metric in scoring.chosen(None) if metric.name in known]
    assert {"original-psnr-outside", "fid-littleworld-original"} <= {metric.name for metric in measures}
    assert scoring.score(run, ["no_edit"], open_suite(run.manifest().suite), measures) == {}
    assert {file: file.read_bytes() for file in run.path.rglob("*.json*")} == before


def test_it_is_reported_under_the_names_of_now(tmp_path: Path) -> None:
    page = write_report([OLD], tmp_path / "report").markdown.read_text()
    assert "PSNR to turn 0, outside" in page
    assert "source-psnr" not in page


def test_only_the_names_of_then_are_changed() -> None:
    own = {"source-of-light": 1.0, "fid-source-match": 2.0, "drift-rate": 3.0}
    assert by_current_name(own) == own
    assert by_current_name({"kid-inception2048-source": 1.0}) == {"kid-inception2048-original": 1.0}
