"""``undrift bench table``: what a terminal shows of runs whose numbers are chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.bench_runs import Numbers, spec, write_run
from undrift.cli.main import cli

CASES = 6


def numbers(*labels: str, freeze: float = 0.0, clip: float = 25.0) -> Numbers:
    """Every case and turn alike but for CLIP-T, which is ``clip`` in half of the cases and 2 more in the others."""
    cases = range(CASES)
    scores = {
        "freeze-rate": [[freeze] * 4 for _ in cases],
        "clip-t-littleworld": [[clip + case % 2 * 2] * 4 for case in cases],
    }
    return dict.fromkeys(labels, scores)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("runs")
    flux = [spec("undrift", "undrift"), spec("fireflow", "fireflow", steps=8), spec("rf_inversion", "rf_inversion")]
    write_run(folder / "flux", numbers("undrift", "fireflow", "rf_inversion"), methods=flux)
    sd = [spec("ddim", "ddim"), spec("masactrl", "masactrl", steps=50)]
    write_run(folder / "sd", numbers("ddim", "masactrl", freeze=50.0), methods=sd, model="some/where/littleworld-sd")
    return [str(folder / "flux"), str(folder / "sd")]


def printed(*arguments: str, width: int = 80) -> str:
    made = CliRunner().invoke(cli, ["bench", "table", *arguments], prog_name="undrift", env={"COLUMNS": str(width)})
    assert made.exit_code == 0, made.output
    return made.stdout


def test_the_paper_s_rows_come_first_in_its_order_under_the_model_that_ran_them(runs: list[str]) -> None:
    found = json.loads(printed(*runs, "--json"))["tables"]
    names = [(table["model"], [row[0] for row in table["rows"]]) for table in found]
    flux, sd = ["rf_inversion", "fireflow", "undrift"], ["masactrl", "ddim"]
    assert names == [
        (model, rows) for model, rows in (("littleworld", flux), ("some/where/littleworld-sd", sd)) for _ in range(2)
    ]
    assert found[0]["rows"][0][-3:] == ["5.740", "24.094", "0.904"]
    assert found[2]["rows"][1][-3:] == ["–"] * 3  # noqa: RUF001


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_the_terminal_and_has_means_with_intervals(runs: list[str], width: int) -> None:
    text = printed(*runs, width=width)
    assert max(map(len, text.splitlines())) <= width
    # Of three cases at 25 and three at 27 the mean is 26; no resample is outside of the two.
    assert "26.000 [25.000, 27.000]" in text
    assert "50.0 [50.0, 50.0]" in text
    assert "n=6 unless a cell says another" in " ".join(text.split())


def test_rows_of_the_paper_that_nobody_ran_are_named(runs: list[str]) -> None:
    last = " ".join(printed(*runs).split("\n\n")[-1].split())
    named = "StableFlow, FlowEdit, RF-Solver, PnPInversion, Ours (15 steps), Ours (8 steps)"
    assert last == f"In the paper and not run here: {named}."


def test_a_folder_that_is_no_run_is_said(tmp_path: Path) -> None:
    made = CliRunner().invoke(cli, ["bench", "table", str(tmp_path)], prog_name="undrift")
    assert made.exit_code == 2
    assert made.stderr.count("\n") == 1
    assert str(tmp_path) in made.stderr
