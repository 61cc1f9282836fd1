"""What is drawn over a subject of one colour: stripes, dots or checks in a dark tone of it.

A pattern lies on the shapes that have the subject's own colour, and only where they are seen: the drawing is replayed
on a stencil, on which that colour leaves a hole and every other one closes it again; around dark ovals, the eyes, a
rim is closed too, so that a face is still one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image, ImageChops, ImageDraw

from undrift.littleworld.drawing import DARK, Colour, Pen

_ASIDE, _ABOVE, _BELOW = 32, 76, 12
"""Units from a subject's feet to anything of it, with room to spare."""
_RIM = 3.0
"""Units around an eye that stay clear."""


class _Stencil:
    """Stands in for Pillow's canvas: shapes of one colour are holes (255), all others are none (0)."""

    def __init__(self, image: Image.Image, colour: Colour, rim: float) -> None:
        self._draw = ImageDraw.Draw(image)
        self._colour = colour
        self._rim = rim

    def polygon(self, points: Sequence[Any], fill: Colour) -> None:
        self._draw.polygon(points, fill=self._hole(fill))

    def ellipse(self, box: tuple[float, float, float, float], fill: Colour) -> None:
        left, top, right, bottom = box
        rim = self._rim if fill == DARK else 0.0
        self._draw.ellipse((left - rim, top - rim, right + rim, bottom + rim), fill=self._hole(fill))

    def pieslice(self, box: Any, start: float, end: float, fill: Colour) -> None:
        self._draw.pieslice(box, start, end, fill=self._hole(fill))

    def rounded_rectangle(self, box: Any, radius: float, fill: Colour) -> None:
        self._draw.rounded_rectangle(box, radius=radius, fill=self._hole(fill))

    def line(self, points: Sequence[Any], fill: Colour, width: int, joint: str) -> None:
        self._draw.line(points, fill=self._hole(fill), width=width, joint=joint)

    def _hole(self, fill: Colour) -> int:
        return 255 if fill == self._colour else 0


def lay_pattern(
    canvas: Image.Image, pen: Pen, pattern: str, colour: Colour, draw: Callable[[Pen, Colour], None]
) -> None:
    """Puts a pattern over what `draw` has drawn with `pen` in `colour`; nothing for "plain"."""
    if pattern not in _DRAW_PATTERN:
        return
    left, top, right, bottom = _frame(canvas, pen)
    stencil, figure = (Image.new("L", (right - left, bottom - top)) for _ in range(2))
    moved = replace(pen, x=pen.x - left, y=pen.y - top)
    draw(replace(moved, draw=_Stencil(stencil, colour, _RIM * pen.scale)), colour)  # type: ignore[arg-type]
    _DRAW_PATTERN[pattern](replace(moved, draw=ImageDraw.Draw(figure)))
    canvas.paste(ink(colour), (left, top), ImageChops.darker(stencil, figure))


def _frame(canvas: Image.Image, pen: Pen) -> tuple[int, int, int, int]:
    """The part of the canvas around a subject: left, top, right, bottom."""
    left, right = (round(pen.x + side * _ASIDE * pen.scale) for side in (-1, 1))
    top, bottom = round(pen.y - _ABOVE * pen.scale), round(pen.y + _BELOW * pen.scale)
    width, height = canvas.size
    return min(max(left, 0), width), min(max(top, 0), height), min(max(right, 0), width), min(max(bottom, 0), height)


def ink(colour: Colour) -> Colour:
    """The tone of a pattern: so dark that it stands out from every colour, and still of that colour."""
    red, green, blue = colour
    return (red * 2 // 5, green * 2 // 5, blue * 2 // 5)


def _stripes(pen: Pen) -> None:
    for y in range(-84, _BELOW, 13):
        pen.box(-_ASIDE, y, _ASIDE, y + 6, _ON)


def _dots(pen: Pen) -> None:
    for row, y in enumerate(range(-84, _BELOW, 12)):
        for x in range(-48 + 8 * (row % 2), 40, 16):
            pen.disc(x, y, 4, _ON)


def _checks(pen: Pen) -> None:
    for row, y in enumerate(range(-84, _BELOW, 9)):
        for x in range(-45 + 9 * (row % 2), 40, 18):
            pen.polygon([(x, y), (x + 9, y), (x + 9, y + 9), (x, y + 9)], _ON)


_ON: Any = 255
_DRAW_PATTERN: dict[str, Callable[[Pen], None]] = {"striped": _stripes, "dotted": _dots, "checked": _checks}
