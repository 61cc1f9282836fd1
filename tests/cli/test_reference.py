"""docs/cli.md is what ``--help`` prints."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from undrift.cli.main import COMMANDS, WIDTH, cli
from undrift.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
NAMES = [str(command.name) for commands in COMMANDS.values() for command in commands]


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == reference(), "run: make docs"


@pytest.mark.parametrize("name", NAMES)
def test_page_has_the_help_of_every_command_verbatim(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"], prog_name="undrift", terminal_width=WIDTH)
    assert result.exit_code == 0
    assert f"## undrift {name}\n\n```text\n{result.stdout}```\n" in PAGE.read_text("utf-8")


def test_overview_lists_every_command() -> None:
    assert sorted(NAMES) == sorted(cli.commands)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_says_what_it_does(name: str) -> None:
    options = [p for p in cli.commands[name].params if isinstance(p, click.Option)]
    assert [option.name for option in options if not option.help] == []
