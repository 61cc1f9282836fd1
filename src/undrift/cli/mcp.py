"""``undrift mcp``: tools for agents."""

from __future__ import annotations

from pathlib import Path

import click

from undrift.cli.language_options import LanguageChoice, language_options
from undrift.cli.options import ModelChoice, ahead_option, common, model_options
from undrift.cli.output import leave_stdout
from undrift.cli.paths import Folder
from undrift.errors import InputError


@click.command()
@click.argument("folder", type=Folder(), default=Path())
@ahead_option
@language_options
@model_options
@common
def mcp(folder: Path, ahead: bool, chosen_language: LanguageChoice, chosen_model: ModelChoice) -> None:
    """Serve tools for agents over the Model Context Protocol, on stdin and stdout.

    FOLDER holds the sessions and pictures that the agent may use, by default the current folder; it reads and writes
    nothing else.
    """
    leave_stdout()  # which carries the protocol alone
    if not folder.is_dir():
        raise InputError(f"'{folder}' is no folder: make it first")
    try:
        from undrift.services.mcp.server import create_server
    except ImportError:
        raise InputError("undrift mcp needs the mcp package: pip install 'undrift[mcp]'") from None
    from undrift.cli import execution
    from undrift.services.mcp.desk import Desk

    language = chosen_language.opened()
    desk = Desk(execution.load_model(chosen_model), folder, language, looks_ahead=ahead)
    try:
        create_server(desk).run("stdio")
    finally:
        desk.close()
