"""``undrift bench doctor``, ``make-turns`` and ``import`` as they are typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.bench.layouts import sequences, write_pie
from tests.bench.make_turns.server import Reply, serving
from undrift.bench.data.pie import MAPPING
from undrift.bench.records import RunFolder
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.cli.bench import bench
from undrift.cli.main import cli


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["bench", *map(str, arguments)], prog_name="undrift")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_pie(tmp_path / "pie", sequences(3))
    return tmp_path / "pie"


def test_doctor(data: Path) -> None:
    result = invoke("doctor", data, "--subset")
    assert (result.exit_code, result.stdout) == (0, f"{data} is pie-bench: 3 pictures, nothing is wrong\n")
    mapping = json.loads((data / MAPPING).read_text())
    name = next(iter(mapping))
    mapping[name]["blended_word"] = "one"
    (data / MAPPING).write_text(json.dumps(mapping))
    result = invoke("doctor", data, "--subset")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{name}: blended_word is 'one', expected two words or none; correct it",
        f"{data} is pie-bench: 3 pictures, 1 problem",
    ]
    told = json.loads(invoke("doctor", data, "--subset", "--json").stdout)
    assert told["layout"] == "pie-bench"
    assert told["problems"] == [
        {"where": name, "problem": "blended_word is 'one', expected two words or none", "fix": "correct it"}
    ]
    assert invoke("doctor", data).exit_code == 1
    result = invoke("doctor", data / "gone")
    assert (result.exit_code, result.stderr) == (2, f"error: no data at '{data / 'gone'}'\n")


def test_make_turns(data: Path) -> None:
    result = invoke("make-turns", data, "--turns", "3", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{data}/MTC_prompts: 3 written, 0 there already, 0 dropped\n"
    assert result.stderr == ""
    told = json.loads(invoke("make-turns", data, "--turns", "3", "--limit", "2", "--json").stdout)
    assert told == {"folder": f"{data}/MTC_prompts", "written": 0, "there": 2, "dropped": 0, "why": []}
    assert len(open_suite(SuiteSpec(name="pie-bench", variant="multi-turn", data=data))) == 3
    assert invoke("doctor", data, "--subset").exit_code == 0
    result = invoke("make-turns", data, "--seed", "1")
    assert (result.exit_code, "name another folder with --output" in result.stderr) == (2, True)


def test_make_turns_with_a_model(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key comes from the environment; what the model cannot do is said and leaves no file."""
    monkeypatch.setenv("UNDRIFT_LLM_KEY", "secret")
    with serving(lambda asked: Reply("I cannot do that.")) as model:
        result = invoke("make-turns", data, "--llm", model.url, "--llm-model", "tiny", "--limit", "1")
    assert result.exit_code == 0, result.stderr
    assert "dropped, no good answer in 3 tries: the answer is not JSON alone" in result.stdout
    assert {header["authorization"] for header in model.headers} == {"Bearer secret"}
    assert not list(data.rglob("*.yaml"))
    result = invoke("make-turns", data, "--llm", model.url)
    assert (result.exit_code, "--llm and --llm-model belong together" in result.stderr) == (2, True)


def test_import(tmp_path: Path) -> None:
    spec = {"name": "littleworld", "variant": "quick", "limit": 2, "turns": 1}
    folder = tmp_path / "rival"
    folder.mkdir()
    (folder / "pictures.json").write_text(json.dumps({"suite": spec, "label": "rival", "pictures": "{case}.png"}))
    first, second = open_suite(SuiteSpec.model_validate(spec))
    first.original().save(folder / f"{first.id}.png")
    result = invoke("import", folder, "-o", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{second.id}, turn 1: no picture at")
    assert lines[1].endswith(
        f"1 pictures taken, 1 bad, 0 after them left out; score it: undrift bench score {tmp_path / 'run'}"
    )
    assert RunFolder(tmp_path / "run").records("rival", first.id)[0].error is None
    assert invoke("import", folder, "-o", tmp_path / "run").exit_code == 2


@pytest.mark.parametrize("command", ["doctor", "make-turns", "import"])
def test_help_says_what_every_option_does(command: str) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0
    options = [p for p in bench.commands[command].params if isinstance(p, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_help_loads_nothing_heavy() -> None:
    heavy = "('torch', 'numpy', 'pyarrow', 'yaml')"
    code = f"import sys, undrift.cli.bench_data; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
