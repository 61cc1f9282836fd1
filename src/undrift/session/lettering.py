"""Words on pictures."""

from __future__ import annotations

import textwrap

from PIL import ImageDraw, ImageFont

BODY = 14
"""Size in pixels of running text."""


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow."""
    return ImageFont.load_default(size=size)


def wrapped(text: str, width: int, draw: ImageDraw.ImageDraw, lines: int) -> list[str]:
    """``text`` in at most ``lines`` lines of ``width`` pixels in ``BODY`` size, shortened if it needs more."""
    average = draw.textlength("abcdefghij klmnopqrst uvwxyz", font=font(BODY)) / 28
    return textwrap.wrap(text, max(int(width / average), 5), max_lines=lines, placeholder=" ...")
