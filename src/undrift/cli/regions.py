"""The options that say where a picture may change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from undrift.cli.options import bundle


@dataclass(frozen=True)
class RegionChoice:
    """Mask files that say where the picture may change."""

    only: Path | None
    protect: Path | None


region_options = bundle(
    "chosen_region",
    RegionChoice,
    (
        click.option(
            "--only",
            type=click.Path(path_type=Path),
            metavar="MASK",
            help="Change the picture only where this mask of its size is white (or painted on nothing, or a hole).",
        ),
        click.option(
            "--protect",
            type=click.Path(path_type=Path),
            metavar="MASK",
            help="Leave the picture as it is where this mask is white (or painted on nothing, or a hole).",
        ),
    ),
)
"""The options that say where; the command receives one ``RegionChoice`` as ``chosen_region``."""
