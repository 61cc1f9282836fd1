"""``undrift mcp``: tools for agents."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType

import click

from undrift.cli.language_options import LanguageChoice, language_options
from undrift.cli.options import ModelChoice, ahead_option, common, model_options
from undrift.cli.output import leave_stdout
from undrift.cli.paths import Folder
from undrift.errors import InputError

GRACE_SECONDS = 3.0
"""How long an edit has to end after Ctrl-C."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it."""


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
    signal.signal(signal.SIGINT, _interrupted)
    try:
        create_server(desk).run("stdio")
    finally:
        desk.close()


def _interrupted(number: int, frame: FrameType | None) -> None:
    """End, though a thread waits for the client's next line, from which nothing wakes it but that line."""
    leaving = threading.Timer(GRACE_SECONDS, os._exit, [INTERRUPTED])
    leaving.daemon = True
    leaving.start()
    signal.default_int_handler(number, frame)
