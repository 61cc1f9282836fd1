"""Turns as a table. Loads rich: import it inside a command."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from undrift.cli.output import printing
from undrift.cli.screen import cell, console
from undrift.cli.sessions import drift_text
from undrift.session.model import Turn

WIDTH = 120
"""Of the table where there is no terminal, in characters."""


def print_turns(turns: Sequence[Turn]) -> None:
    """One row per turn: prompt, NFE, seconds, and drift outside the edit."""
    table = Table(caption="drift outside the edit: PSNR of the pixels there, and how many of them changed")
    table.add_column("turn", justify="right")
    table.add_column("prompt")
    table.add_column("NFE", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("drift from the original", no_wrap=True)
    table.add_column("drift from the turn before", no_wrap=True)
    for turn in turns:
        numbers = (str(turn.evaluations), f"{turn.seconds:.1f}")
        drift = (drift_text(turn.drift_original), drift_text(turn.drift_previous))
        table.add_row(str(turn.number), cell(turn.told), *numbers, *drift)
    with printing() as stream:
        screen = console(file=stream)
        (screen if screen.is_terminal else console(file=stream, width=WIDTH)).print(table)
