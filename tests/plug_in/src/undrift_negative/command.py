"""A command: print how bright a picture is."""

from __future__ import annotations

import click


@click.command()
@click.argument("picture")
def brightness(picture: str) -> None:
    """Print the mean of PICTURE's values."""
    from PIL import ImageStat

    from undrift import read_picture

    click.echo(f"{ImageStat.Stat(read_picture(picture).convert('L')).mean[0]:.1f}")
