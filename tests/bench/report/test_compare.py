"""What changed between two runs, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.bench_runs import write_run
from undrift.bench.report.compare import compare
from undrift.cli.main import cli
from undrift.errors import InputError


def numbers(shift: float) -> dict[str, list[list[float | None]]]:
    """Eight cases of four turns; ``shift`` raises the edit score and the freeze rate alike."""
    base = np.random.default_rng(0).normal(0.5, 0.2, (8, 4))
    return {
        "edit-score": (base + shift).tolist(),
        "freeze-rate": (50 + 100 * (base + shift)).tolist(),
        "nfe": [[32.0 + 10 * shift] * 4] * 8,
        "drift-rate": [[10.0] * 4] * 8,
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    before = write_run(folder / "before", {"multi_turn": numbers(0.0), "other": numbers(0.3)}).path
    after = write_run(folder / "after", {"multi_turn": numbers(0.1)}).path
    return before, after


def verdicts(first: str, second: str) -> dict[str, str]:
    return {change.info.name: change.verdict for change in compare(first, second)}


def test_each_metric_is_judged_by_where_better_is(runs: tuple[Path, Path]) -> None:
    before, after = map(str, runs)
    forth = {"edit-score": "better", "freeze-rate": "worse", "nfe": "differs", "drift-rate": "no difference"}
    assert verdicts(before, after) == forth
    back = {"edit-score": "worse", "freeze-rate": "better", "nfe": "differs", "drift-rate": "no difference"}
    assert verdicts(after, before) == back


def test_a_run_is_compared_with_its_own_methods_by_label(runs: tuple[Path, Path]) -> None:
    before = runs[0]
    (change, *_) = [c for c in compare(f"{before}:multi_turn", f"{before}:other") if c.info.name == "edit-score"]
    assert change.difference.mean == pytest.approx(0.3)
    assert (change.first, change.second, change.difference.turns) == ("multi_turn", "other", 32)


def test_a_copy_of_a_run_differs_in_nothing(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    copy = write_run(tmp_path / "copy", {"multi_turn": numbers(0.0), "other": numbers(0.3)}).path
    changes = compare(str(runs[0]), str(copy))
    assert {change.verdict for change in changes} == {"no difference"}
    assert len(changes) == 8


def test_what_cannot_be_compared_is_refused(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    before, after = runs
    with pytest.raises(InputError, match=r"no method 'x' in '.*before': there are multi_turn, other"):
        compare(f"{before}:x", str(after))
    stranger = write_run(tmp_path / "stranger", {"a": numbers(0.0), "b": numbers(0.0)}).path
    with pytest.raises(InputError, match=r"have no method in common: name one of each as RUN:LABEL; there are"):
        compare(str(before), str(stranger))


def test_the_command_prints_json_and_fails_only_when_asked_to(runs: tuple[Path, Path]) -> None:
    before, after = map(str, runs)
    plain = CliRunner().invoke(cli, ["bench", "compare", before, after])
    assert plain.exit_code == 0
    assert "Freeze rate" in plain.output
    assert "n=32" in plain.output
    as_json = CliRunner().invoke(cli, ["bench", "compare", before, after, "--json"])
    found = {change["metric"]: change for change in json.loads(as_json.output)["changes"]}
    assert found["edit-score"]["difference"] == pytest.approx(0.1)
    assert found["edit-score"]["low"] <= found["edit-score"]["difference"] <= found["edit-score"]["high"]
    assert CliRunner().invoke(cli, ["bench", "compare", before, after, "--fail-on-worse"]).exit_code == 1
    assert CliRunner().invoke(cli, ["bench", "compare", before, before, "--fail-on-worse"]).exit_code == 0


def test_the_report_command_says_where_it_wrote(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    done = CliRunner().invoke(cli, ["bench", "report", str(runs[1]), "-o", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 0, done.output
    assert Path(json.loads(done.output)["html"]) == tmp_path / "out" / "report.html"
    assert (tmp_path / "out" / "report.md").exists()
