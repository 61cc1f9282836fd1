"""The six backgrounds, each one fixed picture of 128 x 128 units."""

from __future__ import annotations

from collections.abc import Callable

from undrift.littleworld.drawing import Colour, Pen

_SKY: Colour = (168, 216, 250)
_SUN: Colour = (255, 240, 150)
_FLAKE: Colour = (240, 246, 252)
_LIT: Colour = (222, 214, 176)


def _meadow(pen: Pen) -> None:
    pen.box(0, 0, 128, 128, _SKY)
    pen.disc(112, 17, 11, _SUN)
    pen.oval(-50, 62, 90, 190, (150, 206, 112))
    pen.oval(30, 70, 190, 190, (150, 206, 112))
    pen.box(0, 88, 128, 128, (128, 192, 94))


def _beach(pen: Pen) -> None:
    pen.box(0, 0, 128, 128, (190, 228, 250))
    pen.box(0, 54, 128, 90, (64, 166, 204))
    pen.box(0, 84, 128, 128, (160, 214, 226))
    pen.box(0, 90, 128, 128, (240, 222, 178))


def _desert(pen: Pen) -> None:
    pen.box(0, 0, 128, 128, (250, 222, 184))
    pen.polygon([(-10, 84), (26, 56), (64, 84)], (204, 152, 118))
    pen.polygon([(62, 84), (104, 50), (146, 84)], (204, 152, 118))
    pen.box(0, 80, 128, 128, (222, 178, 132))


def _snow(pen: Pen) -> None:
    pen.box(0, 0, 128, 128, (156, 182, 212))
    for x, y in ((14, 18), (44, 34), (74, 14), (108, 26), (24, 58), (94, 56), (60, 62)):
        pen.disc(x, y, 3.5, _FLAKE)
    pen.oval(-60, 70, 110, 200, (218, 229, 242))
    pen.box(0, 86, 128, 128, (202, 217, 235))


def _city(pen: Pen) -> None:
    pen.box(0, 0, 128, 128, (206, 210, 218))
    for left, top, right in ((0, 34, 26), (30, 50, 56), (56, 20, 84), (88, 42, 128)):
        pen.box(left, top, right, 96, (140, 146, 160))
        for x in range(left + 5, right - 7, 11):
            pen.box(x, top + 8, x + 6, top + 16, _LIT)
            pen.box(x, top + 24, x + 6, top + 32, _LIT)
    pen.box(0, 86, 128, 128, (104, 106, 116))


def _night(pen: Pen) -> None:
    pen.box(0, 0, 128, 128, (22, 26, 68))
    pen.disc(110, 20, 13, (246, 240, 204))
    for x, y in ((16, 16), (46, 28), (72, 14), (22, 56), (88, 50), (58, 60)):
        pen.disc(x, y, 3, (246, 240, 204))
    pen.oval(-40, 74, 100, 190, (30, 54, 74))
    pen.box(0, 86, 128, 128, (30, 54, 74))


DRAW_BACKGROUND: dict[str, Callable[[Pen], None]] = {
    "meadow": _meadow,
    "beach": _beach,
    "desert": _desert,
    "snow": _snow,
    "city": _city,
    "night": _night,
}
