"""How each subject is drawn: feet at (0, 0), at most 29 units to either side and 70 units high, looking left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from undrift.littleworld.drawing import AMBER, CREAM, DARK, GLASS, WOOD, Colour, Pen, mark, shade


@dataclass(frozen=True)
class Head:
    """Where a subject carries things: middle x, and the heights of crown, eyes and neck, in its units."""

    x: float
    top: float
    eyes: float
    neck: float
    scale: float = 1.0


HEADS = {
    "cat": Head(-3, -59, -46, -29),
    "dog": Head(-3, -59, -47, -29),
    "bird": Head(-7, -62, -52, -34, 0.9),
    "robot": Head(0, -62, -51, -35),
}


def _cat(pen: Pen, colour: Colour) -> None:
    pen.stroke([(12, -5), (23, -9), (25, -26)], 7, shade(colour))
    pen.oval(-22, -38, 17, 0, colour)
    _paws(pen, colour)
    cat_head(pen, colour)


def cat_head(pen: Pen, colour: Colour) -> None:
    """The head of a cat that stands at the origin."""
    pen.oval(-22, -62, 16, -27, colour)
    for side in (-1, 1):
        pen.polygon([(-3 + side * 4, -58), (-3 + side * 18, -71), (-3 + side * 19, -46)], colour)
        pen.disc(-3 + side * 8, -46, 3.6, DARK)
    pen.polygon([(-7, -40), (1, -40), (-3, -35)], DARK)


def _dog(pen: Pen, colour: Colour) -> None:
    pen.stroke([(12, -8), (24, -20)], 7, colour)
    pen.oval(-22, -38, 17, 0, colour)
    _paws(pen, colour)
    dog_head(pen, colour)


def dog_head(pen: Pen, colour: Colour) -> None:
    """The head of a dog that stands at the origin."""
    dark = shade(colour)
    pen.oval(-21, -62, 15, -27, colour)
    pen.oval(-12, -45, 6, -29, CREAM if mark(colour) != dark else dark)
    for side in (-1, 1):
        pen.oval(-3 + side * 18 - 7, -60, -3 + side * 18 + 7, -32, dark)
        pen.disc(-3 + side * 7, -49, 3.4, DARK)
    pen.oval(-8, -45, 2, -37, DARK)


def _paws(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.oval(-3 + side * 10 - 8, -7, -3 + side * 10 + 8, 0, shade(colour))


def _bird(pen: Pen, colour: Colour) -> None:
    for x in (-5, 6):
        pen.box(x - 2.5, -9, x + 2.5, 0, AMBER)
    pen.polygon([(8, -26), (29, -38), (27, -14)], shade(colour))
    pen.oval(-21, -41, 20, -6, colour)
    bird_head(pen, colour)
    pen.oval(-4, -32, 18, -14, shade(colour))


def bird_head(pen: Pen, colour: Colour) -> None:
    """The head of a bird that stands at the origin."""
    pen.polygon([(-18, -56), (-29, -48), (-18, -42)], AMBER)
    pen.disc(-7, -49, 16, colour)
    pen.disc(-12, -52, 3.8, DARK)


def _robot(pen: Pen, colour: Colour) -> None:
    dark = shade(colour)
    for side in (-1, 1):
        pen.box(side * 10 - 6, -12, side * 10 + 6, 0, dark, 2)
        pen.box(side * 24 - 4, -36, side * 24 + 4, -13, dark, 4)
    pen.box(-6, -42, 6, -34, dark)
    pen.box(-19, -37, 19, -7, colour, 4)
    pen.box(-10, -28, 6, -16, dark, 2)
    robot_head(pen, colour)


def robot_head(pen: Pen, colour: Colour) -> None:
    """The head of a robot that stands at the origin."""
    pen.box(-2.5, -69, 2.5, -58, DARK)
    pen.disc(0, -68, 4, shade(colour))
    pen.box(-19, -63, 19, -40, colour, 5)
    pen.box(-14, -58, 14, -45, DARK, 3)
    for x in (-7, 7):
        pen.disc(x, -51.5, 4, GLASS)


def _car(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-19, -24), (-11, -45), (15, -45), (23, -24)], colour)
    pen.polygon([(-13, -25), (-8, -39), (0, -39), (0, -25)], GLASS)
    pen.polygon([(5, -25), (5, -39), (12, -39), (16, -25)], GLASS)
    pen.box(-29, -27, 29, -7, colour, 6)
    pen.box(-29, -21, -23, -14, CREAM)
    for x in (-15, 15):
        pen.disc(x, -9, 9, DARK)
        pen.disc(x, -9, 4, CREAM)


def _house(pen: Pen, colour: Colour) -> None:
    pen.box(-23, -37, 23, 0, colour)
    pen.polygon([(-29, -35), (0, -64), (29, -35)], shade(colour))
    pen.box(-15, -24, -3, 0, WOOD)
    pen.box(5, -27, 17, -14, GLASS)


def _tree(pen: Pen, colour: Colour) -> None:
    pen.box(-6, -30, 6, 0, WOOD)
    for x in (-13, 13):
        pen.disc(x, -34, 15.5, shade(colour))
    pen.disc(-1, -48, 20, colour)
    pen.disc(-6, -35, 14, colour)


def _mushroom(pen: Pen, colour: Colour) -> None:
    pen.box(-10, -32, 10, 0, CREAM, 6)
    pen.dome(-29, -60, 29, -25, colour)
    for x, y, radius in ((-16, -35, 5), (-3, -49, 6), (14, -38, 5.5)):
        pen.disc(x, y, radius, mark(colour))


def _boat(pen: Pen, colour: Colour) -> None:
    pen.box(-4, -66, 1, -16, WOOD)
    pen.polygon([(-6, -60), (-6, -22), (-27, -22)], mark(colour))
    pen.polygon([(3, -66), (3, -22), (26, -22)], colour)
    pen.polygon([(-29, -18), (29, -18), (20, 0), (-20, 0)], colour)


def _ball(pen: Pen, colour: Colour) -> None:
    pen.disc(0, -26, 26, colour)
    pen.polygon([(-21, -41), (-26, -26), (-21, -11), (21, -11), (26, -26), (21, -41)], colour)
    pen.oval(-13, -52, 7, 0, shade(colour))
    pen.disc(-3, -26, 6, mark(colour))


DRAW_SUBJECT: dict[str, Callable[[Pen, Colour], None]] = {
    "cat": _cat,
    "dog": _dog,
    "bird": _bird,
    "robot": _robot,
    "car": _car,
    "house": _house,
    "tree": _tree,
    "mushroom": _mushroom,
    "boat": _boat,
    "ball": _ball,
}
"""How each kind is drawn as it stands; `poses` has the other poses."""
