"""The option that hands a command's work to a Ray cluster."""

from __future__ import annotations

import click

from undrift.cli.options import Decorator


def ray_option(what: str) -> Decorator:
    """Adds ``--ray``, which does ``what`` instead of working in this process."""
    return click.option(
        "--ray", metavar="ADDRESS", help=f"{what}: its address, or local, or local:N for N workers here."
    )
