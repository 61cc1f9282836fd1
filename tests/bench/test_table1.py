"""`make table1`, with fewer steps: every row of the paper's Table 1 is measured, on the model it was made for."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from undrift.bench.report.paper import TABLE_1, published
from undrift.bench.runner.lists import named_lists
from undrift.bench.runner.methods import specs
from undrift.cli.main import cli
from undrift.errors import InputError

ROOT = Path(__file__).parents[2]
METRICS = "freeze-rate,drift-rate,edit-score,nfe"


def commands(output: Path) -> Iterator[list[str]]:
    """The arguments of ``undrift`` in what make would run."""
    make = shutil.which("make")
    assert make is not None
    settings = [f"OUT={output}", "LIMIT=1", "TURNS=1"]
    told = subprocess.run([make, "-n", "table1", *settings], cwd=ROOT, capture_output=True, text=True, check=True)
    for line in told.stdout.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(line)
        if program.endswith("/undrift"):
            yield arguments


LEFT_OUT = ("steerflow", "uniedit_flow", "dec_flowedit", "direct_edit", "flow_align", "from_original", "reflow")
"""Later editors, and baselines that nobody published."""


def quick(table: str) -> str:
    """The methods of a table with two steps each, where they have steps and can do with two, under their labels."""
    words = []
    for word in named_lists()[table]:
        if word in LEFT_OUT:
            continue
        name, preset, settings = (*word.split(":"), "", "")[:3]
        if preset in ("paper", "paper-8", "faithful"):
            words.append(word)  # the report knows the paper's own presets by their steps
            continue
        fewer = [*filter(None, [settings]), "steps=2", *(["n_max=2"] if name == "flowedit" else [])]
        candidate = f"{name}:{preset}:{';'.join(fewer)};label={'-'.join(filter(None, (name, preset, settings[:6])))}"
        try:
            specs([candidate], {})
        except InputError:
            candidate = word
        words.append(candidate)
    return ",".join(words)


def test_each_published_row_is_that_of_one_method() -> None:
    """FlowEdit that is told the true masks is not the published one."""
    rows = [published(spec) for table in ("table1", "table1-sd") for spec in specs([table], {})]
    assert sorted(row.title for row in rows if row) == sorted(
        [*(row.title for row in TABLE_1), "Ours (15 steps)"]  # multi_turn:paper, and faithful to the released code
    )


@pytest.mark.slow
@pytest.mark.timeout(900)  # 25 s of processor time, on machines that do other things as well
def test_make_table1_measures_every_row_of_the_paper(tmp_path: Path) -> None:
    flux, sd, report, show = commands(tmp_path / "run")
    for arguments in (flux, sd):
        at = arguments.index("--methods") + 1
        arguments[at] = quick(arguments[at])
        made = CliRunner().invoke(cli, [*arguments, "--metrics", METRICS], prog_name="undrift")
        assert made.exit_code == 0, made.output
    assert CliRunner().invoke(cli, report, prog_name="undrift").exit_code == 0
    printed = CliRunner().invoke(cli, show, prog_name="undrift", env={"COLUMNS": "80"})
    assert printed.exit_code == 0
    assert "not run here" not in printed.output
    for paper in TABLE_1:
        assert f"{paper.fid:.3f}" in printed.output

    text = (tmp_path / "run" / "report" / "report.md").read_text(encoding="utf-8")
    table = text[text.index("Table 1: all methods") :]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.split("\n\n")[1].splitlines()]
    assert not any("paper only" in row[0] for row in rows)
    for paper in TABLE_1:
        # Beside its published numbers each row has ours, and they are of this run's model.
        beside = [row for row in rows if f"{paper.fid:.3f}" in row]
        assert len(beside) == 1 + (paper.steps == 15), "multi_turn:paper, and faithful to the released code"
        for row in beside:
            assert row[0].startswith(str(paper.method))
            assert row[0].endswith(" on littleworld-sd") == (paper.method in ("masactrl", "pnp_inversion"))
            assert all(number.endswith("(n=1)") for number in row[-3:]), row
