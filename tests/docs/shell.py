"""Whether a command in a document is one that there is, without running it."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from tests.docs.samples import ROOT
from undrift.cli.main import cli

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OTHERS = {"hf", "mkdir", "python"}
"""Programs of other people, whose words are theirs."""
INSTALLED = re.compile(r"(?:\.|undrift)\[([\w,]+)\]")


def commands(script: str) -> Iterator[list[str]]:
    """The commands of a shell block, split into words as a shell does; comments are left out."""
    for line in script.replace("\\\n", "").splitlines():
        words = shlex.split(line, comments=True)
        while "&&" in words:
            end = words.index("&&")
            yield words[:end]
            words = words[end + 1 :]
        if words:
            yield words


def check(words: Sequence[str]) -> None:
    """Fail unless these words are a command that exists, with options that it has."""
    program, arguments = Path(words[0]).name, words[1:]
    if program == "undrift":
        parse(arguments)
    elif program == "make":
        _check_make(arguments)
    elif program == "pip" or arguments[:2] == ["-m", "pip"]:
        named = [extra for word in arguments for found in INSTALLED.findall(word) for extra in found.split(",")]
        assert set(named) <= set(PROJECT["optional-dependencies"])
    else:
        assert program in OTHERS, f"no test knows what '{' '.join(words)}' is"


def check_names(words: Sequence[str]) -> None:
    """Fail unless these words of ``undrift`` name a command that there is, and options that it has."""
    command: click.Command = cli
    for word in words:
        if isinstance(command, click.Group):
            assert word in command.commands, f"no command '{word}' in '{' '.join(words)}'"
            command = command.commands[word]
        elif word.startswith("-"):
            known = [
                option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]
            ]
            assert word.partition("=")[0] in known, f"no option {word} in '{' '.join(words)}'"


def _check_make(arguments: Sequence[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    variables = set(re.findall(r"^(\w+) \?=", makefile, re.MULTILINE))
    assert targets is not None
    for word in arguments:
        name, is_variable, _ = word.partition("=")
        assert name in (variables if is_variable else targets[1].split()), word


def parse(arguments: Sequence[str]) -> None:
    """Have click read the arguments of ``undrift`` as it does for users; nothing is run."""
    with nothing_done():
        result = CliRunner().invoke(cli, list(arguments), standalone_mode=False)
    if result.exception is not None:
        raise result.exception


@contextmanager
def nothing_done() -> Iterator[None]:
    """Every command's work is taken out; reading its arguments stays."""
    leaves = [command for command in every(cli) if not isinstance(command, click.Group)]
    work = [command.callback for command in leaves]
    try:
        for command in leaves:
            command.callback = _nothing
        yield
    finally:
        for command, callback in zip(leaves, work, strict=True):
            command.callback = callback


def _nothing(**arguments: Any) -> None:
    pass


def every(command: click.Command) -> Iterator[click.Command]:
    """The command and all below it."""
    yield command
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from every(inner)


def examples(text: str) -> str:
    """The lines of a help text that show a command, with those that continue them."""
    shown: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("undrift ") or (shown and shown[-1].endswith("\\")):
            shown.append(line.strip())
    return "\n".join(shown)
