"""The report's three kinds of plots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from xml.etree import ElementTree as ET

from undrift.bench.report.labels import LINE, Box, place, spread
from undrift.bench.report.svg import (
    CHARACTER,
    Area,
    Axis,
    Series,
    canvas,
    draw_frame,
    draw_line,
    draw_mark,
    draw_text,
    number,
    text_of,
)

_LEFT, _TOP, _BOTTOM, _MARGIN = 58.0, 14.0, 48.0, 14.0
_PANEL = (190, 150)
_COLUMNS = 4


def scatter(series: Sequence[Series], x: Axis, y: Axis, title: str, size: tuple[int, int] = (860, 600)) -> str:
    """Every method's last point as a mark with its label, and faintly the path that leads there."""
    root = canvas(*size, title, _described(series, x, y))
    area = Area(_LEFT, _TOP, size[0] - _LEFT - _MARGIN, size[1] - _TOP - _BOTTOM, x, y)
    draw_frame(root, area)
    shown = [one for one in series if one.points]
    for one in shown:
        draw_line(root, map(area.at, one.points), colour=one.style.colour, width=1.2, opacity=0.45)
    marks = [area.at(one.points[-1]) for one in shown]
    for one, mark in zip(shown, marks, strict=True):
        draw_mark(root, mark, one.style, _hint(one, len(one.points) - 1, x, y), scale=1.3)
    bounds = Box(area.left, area.top, area.left + area.width, area.top + area.height)
    for one, mark, box in zip(shown, marks, place(marks, [s.label for s in shown], bounds), strict=True):
        _label(root, mark, box, one)
    return text_of(root)


def curves(series: Sequence[Series], x: Axis, y: Axis, title: str, size: tuple[int, int] = (860, 440)) -> str:
    """A line per method over the turns, labelled at its end."""
    root = canvas(*size, title, _described(series, x, y))
    shown = [one for one in series if one.points]
    gutter = 34 + CHARACTER * max((len(one.label) for one in shown), default=0)
    area = Area(_LEFT, _TOP, size[0] - _LEFT - gutter, size[1] - _TOP - _BOTTOM, x, y)
    draw_frame(root, area)
    for one in shown:
        draw_line(root, map(area.at, one.points), colour=one.style.colour, dash=one.style.dash)
        for index, point in enumerate(one.points):
            draw_mark(root, area.at(point), one.style, _hint(one, index, x, y), scale=0.8)
    _end_labels(root, area, shown)
    return text_of(root)


def panels(series: Sequence[Series], x: Axis, y: Axis, title: str) -> str:
    """A small plot per method: its path over the turns, from "1" to the last, among everybody's last points."""
    shown = [one for one in series if one.points]
    columns = min(_COLUMNS, max(len(shown), 1))
    rows = math.ceil(len(shown) / columns)
    pitch = (_PANEL[0] + 36, _PANEL[1] + 46)
    x, y = _ends(x), _ends(y)
    root = canvas(int(_LEFT) + columns * pitch[0], rows * pitch[1] + 30, title, _described(series, x, y))
    for position, one in enumerate(shown):
        row, column = divmod(position, columns)
        area = Area(_LEFT + column * pitch[0], 22 + row * pitch[1], *_PANEL, x, y)
        _panel(root, area, one, shown)
    draw_text(root, (_LEFT, rows * pitch[1] + 22), f"across: {x.title}; up: {y.title}")
    return text_of(root)


def _ends(axis: Axis) -> Axis:
    """A small plot has room for the first tick, the last and the one between."""
    first, between, last = axis.ticks[0], axis.ticks[len(axis.ticks) // 2], axis.ticks[-1]
    return replace(axis, ticks=tuple(dict.fromkeys((first, between, last))))


def _panel(root: ET.Element, area: Area, one: Series, everyone: Sequence[Series]) -> None:
    draw_text(root, (area.left, area.top - 8), one.label, bold=True)
    draw_frame(root, area, titles=False)
    for other in everyone:
        left, top = area.at(other.points[-1])
        attributes = {"cx": f"{left:g}", "cy": f"{top:g}", "r": "2", "fill": "currentColor", "opacity": "0.3"}
        ET.SubElement(root, "circle", attributes)
    draw_line(root, map(area.at, one.points), colour=one.style.colour, width=2)
    first, last = area.at(one.points[0]), area.at(one.points[-1])
    above = first[1] - 6 if first[1] - area.top > LINE else first[1] + LINE
    draw_text(root, (first[0], above), "1", anchor="middle")
    draw_mark(root, last, one.style, f"{one.label}: {number(one.points[-1][0])}, {number(one.points[-1][1])}")


def _label(root: ET.Element, mark: tuple[float, float], box: Box, one: Series) -> None:
    middle = ((box.left + box.right) / 2, (box.top + box.bottom) / 2)
    nearest = (min(max(mark[0], box.left), box.right), min(max(mark[1], box.top), box.bottom))
    if math.dist(mark, nearest) > 14:
        draw_line(root, (mark, nearest), colour=one.style.colour, width=0.8)
    draw_text(root, (middle[0], box.bottom - 3), one.label, anchor="middle")


def _end_labels(root: ET.Element, area: Area, shown: Sequence[Series]) -> None:
    ends = [area.at(one.points[-1]) for one in shown]
    heights = spread([y for _, y in ends], LINE, area.top, area.top + area.height)
    at = area.left + area.width + 24
    for one, end, height in zip(shown, ends, heights, strict=True):
        draw_line(root, (end, (at - 12, height)), colour=one.style.colour, width=0.8, opacity=0.7)
        draw_mark(root, (at - 8, height), one.style, one.label, scale=0.8)
        draw_text(root, (at, height + 4), one.label)


def _hint(one: Series, index: int, x: Axis, y: Axis) -> str:
    across, up = one.points[index]
    return f"{one.label}: {x.title} {number(round(across, 3))}, {y.title} {number(round(up, 3))}"


def _described(series: Sequence[Series], x: Axis, y: Axis) -> str:
    ends = "; ".join(_hint(one, len(one.points) - 1, x, y) for one in series if one.points)
    return f"Last points: {ends}."
