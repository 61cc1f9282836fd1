"""Small plots as SVG text: axes, marks and labels that do not overlap. No dependency, and readable as XML.

Text and lines take the colour of the text around them, so that a plot follows the page's light or dark mode. A
method is told by its label first, then by the shape of its marks, then by colour (after Okabe and Ito, so that
colour-blind people can tell them apart).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree import ElementTree as ET

FONT = 12
"""Size of text in pixels."""
CHARACTER = 7.0
"""Average width of a character of that size, rounded up."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#8a8d91")
_SHAPES = (
    "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0z",
    "M-4,-4H4V4H-4z",
    "M0,-5L5,4H-5z",
    "M0,-5.5L5.5,0L0,5.5L-5.5,0z",
    "M0,5L5,-4H-5z",
    "M-1.7,-5H1.7V-1.7H5V1.7H1.7V5H-1.7V1.7H-5V-1.7H-1.7z",
    "M0,-5.5L5.2,-1.7L3.2,4.5H-3.2L-5.2,-1.7z",
    "M-5,-3.5L-3.5,-5L0,-1.5L3.5,-5L5,-3.5L1.5,0L5,3.5L3.5,5L0,1.5L-3.5,5L-5,3.5L-1.5,0z",
)
_DASHES = ("", "6 3", "2 2")
_THEME = (
    "svg{--paper:#fdfdfb;color:#1c1e22;background:var(--paper)}"
    "@media(prefers-color-scheme:dark){svg{--paper:#141517;color:#e7e8ea}}"
    "svg text{paint-order:stroke;stroke:var(--paper);stroke-width:3px}"
)


class Style(NamedTuple):
    """How a method looks in every plot."""

    colour: str
    shape: str
    dash: str


def style_of(index: int) -> Style:
    """The look of method number ``index``: 7 colours and 8 shapes, so that the pair repeats only after 56."""
    return Style(COLOURS[index % 7], _SHAPES[index % 8], _DASHES[index // 7 % 3])


@dataclass(frozen=True)
class Axis:
    """What runs along a side: a title, the range and where the ticks are."""

    title: str
    low: float
    high: float
    ticks: tuple[float, ...]


@dataclass(frozen=True)
class Series:
    """A method's points, joined by a line.

    Attributes:
        label: its name.
        points: (x, y) in the data's units.
        style: its look.
    """

    label: str
    points: Sequence[tuple[float, float]]
    style: Style


@dataclass(frozen=True)
class Area:
    """Where on the picture the data lie, in pixels, and which data."""

    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """Pixels of a point of the data; y grows downwards."""
        x = self.left + self.width * (point[0] - self.x.low) / (self.x.high - self.x.low)
        y = self.top + self.height * (self.y.high - point[1]) / (self.y.high - self.y.low)
        return round(x, 2), round(y, 2)


def axis(title: str, values: Iterable[float], *, within: tuple[float, float] | None = None, ticks: int = 5) -> Axis:
    """An axis around ``values`` with ticks at 1, 2 or 5 times a power of ten, never beyond ``within``."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    span = high - low or abs(high) or 1.0
    step = _nice_step(span / ticks)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    if within is not None:
        low, high = max(low, within[0]), min(high, within[1])
    if low == high:
        low, high = low - step, high + step
    first = math.ceil(low / step - 1e-9)
    marks = range(first, math.floor(high / step + 1e-9) + 1)
    return Axis(title, low, high, tuple(float(f"{mark * step:.12g}") for mark in marks))


def turn_axis(turns: int) -> Axis:
    """Turns from 1 on."""
    step = 1 if turns <= 8 else 2 if turns <= 12 else 5
    ticks = {1, *range(step, turns + 1, step)} if step > 1 else set(range(1, turns + 1))
    return Axis("turn", 1, max(turns, 2), tuple(float(tick) for tick in sorted(ticks)))


def _nice_step(rough: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(rough))
    return power * next(nice for nice in (1, 2, 5, 10) if rough <= nice * power * (1 + 1e-9))


def canvas(width: int, height: int, title: str, description: str) -> ET.Element:
    """An empty picture that screen readers name and describe."""
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "role": "img",
            "font-family": "system-ui, sans-serif",
            "font-size": str(FONT),
        },
    )
    ET.SubElement(root, "title").text = title
    ET.SubElement(root, "desc").text = description
    return root


def text_of(root: ET.Element) -> str:
    """The picture as SVG text."""
    return ET.tostring(root, encoding="unicode")


def standalone(svg: str) -> str:
    """The same picture as a file of its own, with its own light and dark colours."""
    head, end, rest = svg.partition(">")
    return f"{head}{end}<style>{_THEME}</style>{rest}\n"


def draw_frame(root: ET.Element, area: Area, *, titles: bool = True) -> None:
    """Grid, tick labels and titles of the axes."""
    bottom, right = area.top + area.height, area.left + area.width
    for tick in area.x.ticks:
        x, _ = area.at((tick, area.y.low))
        _grid(root, (x, area.top), (x, bottom))
        draw_text(root, (x, bottom + 16), number(tick), anchor="middle")
    for tick in area.y.ticks:
        _, y = area.at((area.x.low, tick))
        _grid(root, (area.left, y), (right, y))
        draw_text(root, (area.left - 6, y + 4), number(tick), anchor="end")
    if titles:
        draw_text(root, (area.left + area.width / 2, bottom + 36), area.x.title, anchor="middle")
        turned = ET.SubElement(
            root, "g", {"transform": f"translate({area.left - 42:g},{area.top + area.height / 2:g}) rotate(-90)"}
        )
        draw_text(turned, (0, 0), area.y.title, anchor="middle")


def _grid(root: ET.Element, start: tuple[float, float], end: tuple[float, float]) -> None:
    draw_line(root, (start, end), colour="currentColor", width=0.5, opacity=0.25)


def draw_text(
    root: ET.Element, at: tuple[float, float], text: str, *, anchor: str = "start", bold: bool = False
) -> None:
    """Text in the colour of the text around the picture, with a rim that keeps it readable over lines."""
    attributes = {"x": f"{at[0]:g}", "y": f"{at[1]:g}", "fill": "currentColor", "text-anchor": anchor}
    if bold:
        attributes["font-weight"] = "600"
    ET.SubElement(root, "text", attributes).text = text


def draw_line(
    root: ET.Element,
    points: Iterable[tuple[float, float]],
    *,
    colour: str,
    width: float = 1.5,
    dash: str = "",
    opacity: float = 1.0,
) -> None:
    """A line through pixels."""
    attributes = {
        "points": " ".join(f"{x:g},{y:g}" for x, y in points),
        "fill": "none",
        "stroke": colour,
        "stroke-width": f"{width:g}",
        "stroke-linejoin": "round",
    }
    if dash:
        attributes["stroke-dasharray"] = dash
    if opacity < 1.0:
        attributes["opacity"] = f"{opacity:g}"
    ET.SubElement(root, "polyline", attributes)


def draw_mark(root: ET.Element, at: tuple[float, float], style: Style, hint: str, *, scale: float = 1.0) -> None:
    """A method's mark at a pixel; ``hint`` shows on hovering and is read aloud."""
    size = "" if scale == 1.0 else f" scale({scale:g})"
    mark = ET.SubElement(
        root, "path", {"d": style.shape, "fill": style.colour, "transform": f"translate({at[0]:g},{at[1]:g}){size}"}
    )
    ET.SubElement(mark, "title").text = hint


def number(value: float) -> str:
    """A number as short as it can be without losing what it says."""
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")
