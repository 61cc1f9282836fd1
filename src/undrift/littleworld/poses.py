"""How those who can wear something are drawn when they do not just stand.

A pose draws the parts of the standing figure in the same order, so that part n is the same limb in every pose; what a
pose has in addition comes last. Nothing reaches further to the side than 29 units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from undrift.littleworld.drawing import AMBER, Colour, Pen, mark, shade
from undrift.littleworld.subjects import (
    DRAW_SUBJECT,
    HEADS,
    Head,
    bird_head,
    cat_head,
    dog_head,
    robot_head,
)

LIFT = {"jumping": 12}
"""How high above its line a subject is, in pixels of a 128 x 128 picture; 0 for the poses that are missing."""

_DROP = {"cat": 9, "dog": 9, "bird": 11, "robot": 10}


def draw_subject(pen: Pen, kind: str, colour: Colour, pose: str) -> None:
    """Draws a subject in its pose; the pen's origin is where it would stand, `LIFT` not counted."""
    _POSED.get((kind, pose), DRAW_SUBJECT[kind])(pen, colour)


def head_of(kind: str, pose: str) -> Head:
    """Where a subject in its pose carries things."""
    head, drop = HEADS[kind], _DROP[kind] if pose == "sitting" else 0
    return replace(head, top=head.top + drop, eyes=head.eyes + drop, neck=head.neck + drop)


def _sitting_cat(pen: Pen, colour: Colour) -> None:
    pen.stroke([(12, -5), (24, -8), (25, -24)], 7, shade(colour))
    _sitting_body(pen, colour)
    cat_head(pen.at(0, _DROP["cat"]), colour)
    _pads(pen, colour)


def _sitting_dog(pen: Pen, colour: Colour) -> None:
    pen.stroke([(12, -6), (25, -16)], 7, colour)
    _sitting_body(pen, colour)
    dog_head(pen.at(0, _DROP["dog"]), colour)
    _pads(pen, colour)


def _sitting_body(pen: Pen, colour: Colour) -> None:
    pen.oval(-24, -34, 18, 0, colour)
    for side in (-1, 1):
        pen.disc(-3 + side * 16, -8.5, 9.5, shade(colour))


def _pads(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.disc(-3 + side * 16, -8.5, 5, mark(colour))


def _sitting_bird(pen: Pen, colour: Colour) -> None:
    down = pen.at(0, _DROP["bird"])
    for x in (-14, 8):
        pen.oval(x - 8, -4, x + 8, 3, AMBER)
    down.polygon([(8, -26), (29, -38), (27, -16)], shade(colour))
    pen.oval(-24, -32, 22, 0, colour)
    bird_head(down, colour)
    down.oval(-4, -32, 18, -16, shade(colour))


def _sitting_robot(pen: Pen, colour: Colour) -> None:
    dark, down = shade(colour), pen.at(0, _DROP["robot"])
    for side in (-1, 1):
        pen.box(side * 20 - 9, -15, side * 20 + 9, 1, dark, 3)
        down.box(side * 24 - 4, -36, side * 24 + 4, -20, dark, 4)
    down.box(-6, -42, 6, -34, dark)
    down.box(-19, -37, 19, -10, colour, 4)
    down.box(-10, -28, 6, -18, dark, 2)
    robot_head(down, colour)
    for side in (-1, 1):
        pen.box(side * 20 - 5, -11, side * 20 + 5, -3, mark(colour), 2)


def _jumping_cat(pen: Pen, colour: Colour) -> None:
    pen.stroke([(12, -10), (21, -4), (25, 7)], 7, shade(colour))
    _jumping_body(pen, colour)
    cat_head(pen, colour)


def _jumping_dog(pen: Pen, colour: Colour) -> None:
    pen.stroke([(12, -8), (24, -6)], 7, colour)
    _jumping_body(pen, colour)
    dog_head(pen, colour)


def _jumping_body(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.stroke([(-3 + side * 12, -24), (-3 + side * 21, -30)], 8, shade(colour))
    pen.oval(-20, -38, 15, -6, colour)
    for side in (-1, 1):
        pen.stroke([(-3 + side * 8, -8), (-3 + side * 13, 4)], 9, shade(colour))


def _jumping_bird(pen: Pen, colour: Colour) -> None:
    for x in (-8, 9):
        pen.stroke([(x * 0.6, -8), (x * 1.4, 5)], 5, AMBER)
    pen.polygon([(8, -24), (29, -26), (25, -8)], shade(colour))
    pen.oval(-21, -41, 20, -6, colour)
    bird_head(pen, colour)
    _raised_wing(pen, colour)


def _raised_wing(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-3, -24), (10, -36), (25, -60), (29, -44), (24, -26), (10, -14)], shade(colour))


def _jumping_robot(pen: Pen, colour: Colour) -> None:
    dark = shade(colour)
    for side in (-1, 1):
        pen.stroke([(side * 9, -9), (side * 15, 3)], 11, dark)
        _raised_arm(pen, side, dark)
    pen.box(-6, -42, 6, -34, dark)
    pen.box(-19, -37, 19, -7, colour, 4)
    pen.box(-10, -28, 6, -16, dark, 2)
    robot_head(pen, colour)


def _raised_arm(pen: Pen, side: int, colour: Colour) -> None:
    pen.stroke([(side * 18, -30), (side * 25, -36), (side * 25, -52)], 8, colour)


def _waving_cat(pen: Pen, colour: Colour) -> None:
    DRAW_SUBJECT["cat"](pen, colour)
    _wave(pen, colour)


def _waving_dog(pen: Pen, colour: Colour) -> None:
    DRAW_SUBJECT["dog"](pen, colour)
    _wave(pen, colour)


def _wave(pen: Pen, colour: Colour) -> None:
    pen.stroke([(12, -22), (22, -30), (23, -47)], 9, shade(colour))
    pen.disc(23, -49, 6, mark(colour))


def _waving_bird(pen: Pen, colour: Colour) -> None:
    for x in (-5, 6):
        pen.box(x - 2.5, -9, x + 2.5, 0, AMBER)
    pen.polygon([(8, -22), (29, -22), (25, -6)], shade(colour))
    pen.oval(-21, -41, 20, -6, colour)
    bird_head(pen, colour)
    _raised_wing(pen, colour)


def _waving_robot(pen: Pen, colour: Colour) -> None:
    dark = shade(colour)
    for side in (-1, 1):
        pen.box(side * 10 - 6, -12, side * 10 + 6, 0, dark, 2)
    pen.box(-28, -36, -20, -13, dark, 4)
    _raised_arm(pen, 1, dark)
    pen.box(-6, -42, 6, -34, dark)
    pen.box(-19, -37, 19, -7, colour, 4)
    pen.box(-10, -28, 6, -16, dark, 2)
    robot_head(pen, colour)


_POSED: dict[tuple[str, str], Callable[[Pen, Colour], None]] = {
    ("cat", "sitting"): _sitting_cat,
    ("dog", "sitting"): _sitting_dog,
    ("bird", "sitting"): _sitting_bird,
    ("robot", "sitting"): _sitting_robot,
    ("cat", "jumping"): _jumping_cat,
    ("dog", "jumping"): _jumping_dog,
    ("bird", "jumping"): _jumping_bird,
    ("robot", "jumping"): _jumping_robot,
    ("cat", "waving"): _waving_cat,
    ("dog", "waving"): _waving_dog,
    ("bird", "waving"): _waving_bird,
    ("robot", "waving"): _waving_robot,
}
