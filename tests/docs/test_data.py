"""Samples that are no programs: tables, prompts, descriptions and transcripts, given to what reads or says them."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.docs.samples import ROOT, Sample, samples
from tests.docs.shell import PROJECT, check_names
from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from tests.test_layering import FREE
from undrift.bench.data import pie, prompts
from undrift.bench.importing import DESCRIPTION, read_description
from undrift.bench.suites.registry import open_suite
from undrift.cli import execution
from undrift.cli.main import cli
from undrift.instructions import NotUnderstood, understand
from undrift.methods import registry
from undrift.services.batch.table import read_table

CAPTION = "a blue dog wearing a red hat on a beach"


def sample(page: str, language: str, within: str) -> Sample:
    """The one block of a page that is in ``language`` and has the text ``within``."""
    (found,) = [each for each in samples(language) if each.file == ROOT / "docs" / page and within in each.text]
    return found


def pattern(line: str) -> str:
    """A printed line as a pattern: ``...`` is whatever was left out."""
    return re.escape(line).replace(re.escape("..."), ".*")


def test_the_tables_of_a_batch_are_read(tmp_path: Path) -> None:
    table = tmp_path / "wishes.csv"
    table.write_text(sample("batch.md", "text", "id,picture").text, "utf-8")
    assert table.read_text("utf-8") == (ROOT / "examples" / "wishes.csv").read_text("utf-8")
    dog, cat = read_table(table)
    assert all((ROOT / "examples" / each.row.picture).is_file() for each in (dog, cat))
    assert (dog.id, dog.row.turns) == ("dog", ("make the dog blue", "add a red hat"))
    assert (cat.id, cat.row.turns) == ("cat", ("a red cat wearing a crown in the snow",))
    lines = tmp_path / "wishes.jsonl"
    lines.write_text(sample("batch.md", "json", "picture").text, "utf-8")
    (row,) = read_table(lines)
    assert (row.row.picture, row.row.seed) == ("photos/dog.png", 7)


def test_the_instructions_in_the_tables_are_understood(tmp_path: Path) -> None:
    table = tmp_path / "wishes.csv"
    table.write_text(sample("batch.md", "text", "id,picture").text, "utf-8")
    dog, _ = read_table(table)
    caption = dog.row.prompt
    for turn in dog.row.turns:
        caption = understand(turn, caption).target
    assert caption == "a blue dog wearing a red hat next to a red cactus on a beach"


def test_multi_turn_prompts_are_read_and_break_no_rule(tmp_path: Path) -> None:
    file = tmp_path / "211000000000" / "211000000000.yaml"
    file.parent.mkdir()
    file.write_text(sample("data.md", "yaml", "original_prompt").text, "utf-8")
    read = prompts.read_file(file)
    assert prompts.broken_rules(read) == []
    (turn,) = read.rounds
    assert understand(str(turn.instruction), turn.source_prompt).target == turn.target_prompt


def test_a_description_of_pictures_is_read(tmp_path: Path) -> None:
    (tmp_path / DESCRIPTION).write_text(sample("data.md", "json", "pictures").text, "utf-8")
    said = read_description(tmp_path)
    assert (said.label, said.method, said.params) == ("rival", "Rival 1.0", {"guidance": 7})
    assert next(iter(open_suite(said.suite))).turns


def test_entry_points_have_the_groups_that_are_looked_for() -> None:
    shown = tomllib.loads(sample("extending.md", "toml", "entry-points").text)["project"]["entry-points"]
    plug_in = tomllib.loads((ROOT / "tests" / "plug_in" / "pyproject.toml").read_text("utf-8"))
    assert set(shown) == set(plug_in["project"]["entry-points"])
    assert set(shown) == {f"undrift.{kind}" for kind in ("methods", "backbones", "suites", "metrics", "commands")}


def test_a_client_of_the_tools_starts_a_command_that_there_is() -> None:
    (server,) = json.loads(sample("mcp.md", "json", "mcpServers").text)["mcpServers"].values()
    assert server["command"] in PROJECT["scripts"]
    check_names(server["args"])


def test_the_transcript_is_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the turns' ids, on a model that takes no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNDRIFT_SESSION", raising=False)
    monkeypatch.setattr(execution, "load", lambda name, **options: ToyBackbone())
    known = {**registry.all_methods(), "undrift": ToyMethod}
    monkeypatch.setattr(registry, "all_methods", lambda: known)
    toy_picture().save("photo.png")

    def printed(*words: str) -> str:
        result = CliRunner().invoke(cli, words, prog_name="undrift")
        assert result.exit_code == 0, result.output
        return result.output

    printed("new", "photo.png", "-p", "a green dog on a beach")
    for block in sample("instructions.md", "text", "$ undrift log").text.split("$ undrift ")[1:]:
        command, *lines = block.splitlines()
        told = printed(*shlex.split(command)).splitlines()
        for line in lines:
            expected = re.sub(r"[0-9a-f]{12}", "[0-9a-f]{12}", re.escape(line))
            assert any(re.fullmatch(expected, each) for each in told), (line, told)


@pytest.mark.parametrize("line", sample("instructions.md", "text", "make the hat green tomorrow").text.splitlines())
def test_the_refusals_are_said_so(line: str) -> None:
    text, message = re.split(r" {3,}", line)
    with pytest.raises(NotUnderstood) as refused:
        understand(text, CAPTION)
    assert re.fullmatch(pattern(message), str(refused.value)), str(refused.value)


def test_the_layout_lists_every_layer() -> None:
    shown = sample("conventions.md", "text", "src/undrift/").text
    layers = {path.parent.name for path in (ROOT / "src" / "undrift").glob("*/__init__.py")} - FREE
    assert set(re.findall(r"^  (\w+)/", shown, re.MULTILINE)) == layers
    for folder in re.findall(r"^([\w/]+)/", shown, re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder


def test_the_benchmark_s_files_are_looked_for_where_the_page_says() -> None:
    lines = sample("data.md", "text", "mapping_file.json").text.splitlines()
    mapping, picture, turns = (line.removeprefix("PATH/").split()[0] for line in lines)
    assert mapping == pie.MAPPING
    assert picture.rpartition("/")[0] == f"{pie.PICTURES}/{pie.type_folder(0)}"
    assert turns == f"{prompts.FOLDER}/<id>/<id>.yaml"
