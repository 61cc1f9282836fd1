"""A package installed beside undrift adds methods, models, suites, metrics and commands: `plug_in` is installed,
really, into an environment of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from undrift import discovery
from undrift.backbones.base import Backbone
from undrift.backbones.registry import families
from undrift.cli import plug_ins
from undrift.cli.main import cli
from undrift.discovery import named, named_classes
from undrift.littleworld.weights import model_path
from undrift.methods.base import EditMethod
from undrift.methods.no_edit import NoEdit

ROOT = Path(__file__).parents[1]
GREY, BRIGHT = 55, 150
"""A dark picture, and what its negative exceeds whatever the autoencoder does to it."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment's Python, which sees undrift and what it needs, with the package installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=os.name == "posix")
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / Path(sys.executable).name
    own = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    seen = {str(ROOT / "src"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(own.strip()) / "beside.pth").write_text("\n".join(sorted(seen)), "utf-8")
    package = shutil.copytree(ROOT / "tests" / "plug_in", folder / "plug_in")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir", "--ignore-installed"]
    command = [str(python), "-m", "pip", "install", *options, str(package)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return python


def undrift(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), "-m", "undrift.cli.main", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def grey(folder: Path) -> None:
    Image.new("RGB", (32, 32), (GREY, GREY, GREY)).save(folder / "grey.png")


@pytest.mark.slow
def test_a_command_is_found_listed_and_run(python: Path, tmp_path: Path) -> None:
    grey(tmp_path)
    told = undrift(python, tmp_path, "--help")
    assert "From plug-ins:\n  brightness  Print the mean of PICTURE's values." in told.stdout
    assert told.stderr.count("\n") == 1
    assert told.stderr.startswith(
        "warning: plug-in 'lost' of package 'undrift-negative' (undrift.commands) is left out"
    )
    assert undrift(python, tmp_path, "brightness", "grey.png").stdout == "55.0\n"
    assert "did you mean 'brightness'?" in undrift(python, tmp_path, "brightnes").stderr
    failed = undrift(python, tmp_path, "brightness", "nothing.png")
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1), "its errors are told as undrift's own"


@pytest.mark.slow
def test_a_method_and_a_model_edit_and_a_suite_and_a_metric_score(python: Path, tmp_path: Path) -> None:
    grey(tmp_path)
    fork = shutil.copytree(model_path(), tmp_path / "fork")
    index = json.loads((fork / "model_index.json").read_text("utf-8"))
    (fork / "model_index.json").write_text(json.dumps({**index, "_class_name": "ForkPipeline"}), "utf-8")
    chosen = ("--method", "negative", "--model", "fork", "--json")
    done = undrift(python, tmp_path, "run", "grey.png", "-p", "grey", "-e", "another grey", *chosen)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["turns"][0]["spec"]["method"] == "negative"
    with Image.open(tmp_path / report["session"] / report["turns"][0]["image"]) as picture:
        middle = picture.convert("L").getpixel((16, 16))
    assert isinstance(middle, int)
    assert middle > BRIGHT
    names = ("--suite", "greys", "--methods", "negative", "--metrics", "brightness", "-o", "runs")
    assert undrift(python, tmp_path, "bench", "run", *names).returncode == 0
    (scores,) = (tmp_path / "runs").rglob("scores.jsonl")
    assert json.loads(scores.read_text("utf-8"))["values"]["brightness"] > BRIGHT


class Another(NoEdit):
    """Has the name of a method that there is."""

    name = "multi_turn"


class HalfModel(Backbone):
    """Has nothing."""


class HalfMade(EditMethod):
    """Has a name and nothing else."""

    name = "half_made"


def offered(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    entry = EntryPoint("thing", value, "undrift.methods")
    monkeypatch.setattr(discovery, "entry_points", lambda group: [entry] if group == entry.group else [])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("tests.no_such_module:x", "plug-in 'thing' (undrift.methods) is left out: ModuleNotFoundError: "),
        ("json:dumps", "is left out: it is <function dumps at "),
        ("tests.test_plug_ins:Another", "is left out: there is a 'multi_turn' already"),
        ("tests.test_plug_ins:HalfMade", "is left out: HalfMade lacks title, paper, presets, cost, make"),
    ],
)
def test_a_broken_plug_in_is_named_and_stops_nothing(
    value: str, message: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usual = named_classes("undrift.methods", EditMethod, "nothing")  # type: ignore[type-abstract]
    offered(monkeypatch, value)
    assert named_classes("undrift.methods", EditMethod, "undrift.methods") == usual  # type: ignore[type-abstract]
    assert [message in record.message for record in caplog.records] == [True]


def test_what_is_there_is_sorted_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    offered(monkeypatch, "tests.test_plug_ins:NoEdit")
    found = named([Another], "undrift.methods", lambda value: [value])  # type: ignore[list-item]
    assert list(found) == ["multi_turn", "no_edit"]


def test_a_model_that_is_none_is_named_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usual = dict(families())
    entry = EntryPoint("thing", "tests.test_plug_ins:HalfModel", "undrift.backbones")
    monkeypatch.setattr(discovery, "entry_points", lambda group: [entry])
    assert families.__wrapped__() == usual
    (record,) = caplog.records
    assert "is left out: HalfModel lacks decode, embed, encode, " in record.message


def test_presets_without_a_default_are_refused_where_they_are_written() -> None:
    with pytest.raises(TypeError, match=r"Odd.presets has no 'default', which is what a turn takes that names none"):
        type("Odd", (NoEdit,), {"presets": {"fast": NoEdit.presets["default"]}})


def test_commands_whose_names_are_taken_are_named_and_replace_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entries = [EntryPoint(name, "json:dumps", "undrift.commands") for name in ("log", "shine", "shine")]
    monkeypatch.setattr(plug_ins, "entry_points", lambda group: entries)
    plug_ins.offered.cache_clear()
    plug_ins.command.cache_clear()
    try:
        helped = CliRunner().invoke(cli, ["--help"], prog_name="undrift")
        missing = CliRunner().invoke(cli, ["shine"], prog_name="undrift")
    finally:
        plug_ins.offered.cache_clear()
        plug_ins.command.cache_clear()
    assert helped.exit_code == 0
    assert helped.stdout.count("  log ") == 1
    said = helped.stderr + missing.stderr + caplog.text
    for name in ("log", "shine"):
        assert f"plug-in '{name}' (undrift.commands) is left out: there is a '{name}' already" in said
    assert "no command 'shine': see: undrift --help" in missing.stderr
