"""Every code sample in the documents does what it says: Python runs, commands are those there are, data is read."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner
from PIL import Image

from tests.docs.samples import FENCE, ROOT, Sample, documents, samples
from tests.docs.shell import check, check_names, commands, every, examples
from tests.support.golden import backbone, request
from tests.support.toy import toy_picture
from undrift.cli.main import cli
from undrift.errors import UndriftError
from undrift.session.store import Session

LANGUAGES = {"sh", "python", "yaml", "json", "toml", "text"}
PICTURES = re.compile(r"[\w/-]+\.(png|jpg|webp)")
CLIENT = "openai.OpenAI("
"""Python that asks a server: ``tests/services/test_images_api.py`` runs it with one."""
INLINE = re.compile(r"`undrift ([a-z][^`]*)`")


def test_every_block_says_its_language() -> None:
    assert [str(sample) for sample in samples() if sample.language not in LANGUAGES] == []


def test_the_blocks_are_found_where_they_are() -> None:
    """The extraction itself: no fence is left over, and a line number leads to its block."""
    for document in documents():
        lines = document.read_text(encoding="utf-8").splitlines()
        own = [sample for sample in samples() if sample.file == document]
        assert sum(line.lstrip().startswith("```") for line in lines) == 2 * len(own), document
        for sample in own:
            assert lines[sample.line - 1].strip() == sample.text.splitlines()[0].strip()


@pytest.mark.parametrize("sample", samples("sh"), ids=str)
def test_commands_are_those_there_are(sample: Sample, desk: Path) -> None:
    for words in commands(sample.text):
        check(words)


def test_examples_in_the_help_are_commands_there_are(desk: Path) -> None:
    """The lines of ``--help`` that show a command; docs/cli.md repeats them."""
    shown = [words for command in every(cli) for words in commands(examples(command.help or ""))]
    assert [words[1] for words in shown].count("bench") > 3
    for words in shown:
        check(words)


@pytest.mark.parametrize(
    "line", ["undrift edti x", "undrift run a.png --promt x", "make tset", "pip install '.[ray2]'", "rm -r /"]
)
def test_a_wrong_command_is_found(line: str, desk: Path) -> None:
    (words,) = commands(line)
    with pytest.raises((AssertionError, click.ClickException, UndriftError)):
        check(words)


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_within_sentences_exist_and_have_their_options(document: Path) -> None:
    for found in INLINE.finditer(FENCE.sub("", document.read_text(encoding="utf-8"))):
        check_names(shlex.split(found[1]))


def test_a_wrong_command_within_a_sentence_is_found() -> None:
    check_names(["bench", "report", "RUN", "--limit", "24"])
    for wrong in (["bench", "reprot"], ["bench", "report", "--limmit"], ["edti"]):
        with pytest.raises(AssertionError):
            check_names(wrong)


@pytest.mark.slow
def test_the_session_of_the_readme_runs(desk: Path) -> None:
    """Line by line on LittleWorld; the turn that is kept has another id at each reader's."""
    (script,) = [sample.text for sample in samples("sh") if "undrift new" in sample.text]
    for program, *words in commands(script):
        assert program == "undrift"
        if words[0] == "keep":
            words[1] = Session.open(desk / "undrift-session").turns()[-2].id
        result = CliRunner().invoke(cli, words, prog_name="undrift")
        assert result.exit_code == 0, (words, result.stderr)
    for made in ("difference.png", "cat.png", "turns.webp"):
        with Image.open(desk / made) as picture:
            picture.load()


@pytest.mark.parametrize("sample", samples("json"), ids=str)
def test_json_is_json(sample: Sample) -> None:
    json.loads(sample.text)


@pytest.mark.parametrize("sample", samples("yaml"), ids=str)
def test_yaml_is_yaml(sample: Sample) -> None:
    assert isinstance(yaml.safe_load(sample.text), dict | list)


@pytest.mark.parametrize("sample", samples("toml"), ids=str)
def test_toml_is_toml(sample: Sample) -> None:
    assert tomllib.loads(sample.text)


@pytest.mark.parametrize("sample", [each for each in samples("python") if CLIENT not in each.text], ids=str)
def test_python_runs(sample: Sample, desk: Path) -> None:
    """With LittleWorld where it loads a model, in a folder with the pictures that it reads."""
    made = executed(sample)
    for name in PICTURES.finditer(sample.text):
        assert (desk / name[0]).is_file()
    method = made.get("Plain")
    if method is not None:
        short = method.presets["default"].model_copy(update={"steps": 2})
        result = method(short).edit(backbone(), request())
        assert bool(result.latent.packed.isfinite().all())


def executed(sample: Sample) -> dict[str, Any]:
    """The names that a Python block makes; a traceback names the document and its line."""
    made: dict[str, Any] = {"__name__": "sample"}
    exec(compile("\n" * (sample.line - 1) + sample.text, str(sample.file), "exec"), made)
    return made


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files that the documents take for granted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNDRIFT_SESSION", raising=False)
    for name in {found[0] for sample in samples("sh", "python") for found in PICTURES.finditer(sample.text)}:
        if "/" not in name:
            toy_picture().save(tmp_path / name)
    return tmp_path
