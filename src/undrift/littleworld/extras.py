"""How wearables and companions are drawn.

Hats and crowns have their origin on top of the head, scarves at the neck, glasses between the eyes. Companions stand
at (0, 0), at most 16 units to either side.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from undrift.littleworld.drawing import DARK, PALETTE, WOOD, Colour, Pen, shade
from undrift.littleworld.subjects import Head

_STEM: Colour = (52, 120, 60)


def draw_wearable(pen: Pen, head: Head, kind: str, colour: Colour) -> None:
    """Draws a wearable where the head carries it."""
    height = {"scarf": head.neck, "glasses": head.eyes}.get(kind, head.top)
    _WEARABLES[kind](pen.at(head.x, height, head.scale), colour)


def draw_companion(pen: Pen, kind: str, colour: Colour) -> None:
    """Draws a companion that stands at, or floats above, the pen's origin."""
    _COMPANIONS[kind](pen, colour)


def _hat(pen: Pen, colour: Colour) -> None:
    pen.box(-14, -24, 14, 2, colour, 3)
    pen.box(-14, -8, 14, -2, DARK)
    pen.box(-22, -3, 22, 5, colour, 3)


def _crown(pen: Pen, colour: Colour) -> None:
    points = [(-18.0, 5.0), (-22.0, -18.0), (-10.0, -8.0), (0.0, -24.0), (10.0, -8.0), (22.0, -18.0), (18.0, 5.0)]
    pen.polygon(list(points), colour)
    pen.box(-18, 0, 18, 5, DARK)


def _scarf(pen: Pen, colour: Colour) -> None:
    pen.box(-21, -7, 21, 9, DARK, 7)
    pen.box(1, 2, 18, 26, DARK, 2)
    pen.box(-21, -7, 21, 5, colour, 5)
    pen.box(5, 0, 18, 21, colour, 2)


def _glasses(pen: Pen, colour: Colour) -> None:
    for x in (-11, 11):
        pen.disc(x, 0, 11.5, DARK)
    for x in (-11, 11):
        pen.disc(x, 0, 7.5, colour)


def _flower(pen: Pen, colour: Colour) -> None:
    pen.box(-3, -26, 3, 0, _STEM)
    pen.oval(1, -17, 15, -7, _STEM)
    for turn in range(5):
        angle = math.tau * (turn / 5 - 0.25)
        pen.disc(9 * math.cos(angle), -32 + 9 * math.sin(angle), 8, colour)
    pen.disc(0, -32, 6, WOOD)


def _cactus(pen: Pen, colour: Colour) -> None:
    pen.stroke([(0, -16), (13, -18), (13, -32)], 7, colour)
    pen.stroke([(0, -10), (-13, -12), (-13, -25)], 7, colour)
    pen.box(-6, -46, 6, 0, colour, 6)
    pen.box(2, -42, 6, 0, shade(colour))


def _balloon(pen: Pen, colour: Colour) -> None:
    pen.stroke([(0, -46), (0, -24)], 4, DARK)
    pen.polygon([(0, -54), (-7, -43), (7, -43)], colour)
    pen.oval(-16, -86, 16, -48, colour)
    pen.oval(2, -81, 10, -68, PALETTE["white"] if colour != PALETTE["white"] else shade(colour))


def _star(pen: Pen, colour: Colour) -> None:
    corners = []
    for corner in range(10):
        radius, angle = (16.8, 8.2)[corner % 2], math.tau * (corner / 10 - 0.25)
        corners.append((radius * math.cos(angle), -64 + radius * math.sin(angle)))
    pen.polygon(corners, colour)


def _gift(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.oval(side * 8 - 7, -38, side * 8 + 7, -27, DARK)
    pen.box(-15, -22, 15, 0, colour)
    pen.box(-16, -30, 16, -20, shade(colour))
    pen.box(-3, -30, 3, 0, DARK)


_WEARABLES: dict[str, Callable[[Pen, Colour], None]] = {
    "hat": _hat,
    "crown": _crown,
    "scarf": _scarf,
    "glasses": _glasses,
}
_COMPANIONS: dict[str, Callable[[Pen, Colour], None]] = {
    "flower": _flower,
    "cactus": _cactus,
    "balloon": _balloon,
    "star": _star,
    "gift": _gift,
}
