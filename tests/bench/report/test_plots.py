"""Plots are read back as XML: marks sit where the data say, and no label covers another."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undrift.bench.report.labels import LINE, Box, place, spread
from undrift.bench.report.plots import curves, panels, scatter
from undrift.bench.report.svg import Axis, Series, axis, standalone, style_of, turn_axis

X = Axis("drift", 0, 100, (0.0, 50.0, 100.0))
Y = Axis("freeze", 0, 80, (0.0, 40.0, 80.0))
SERIES = [
    Series("one & only", [(10.0, 70.0), (20.0, 60.0)], style_of(0)),
    Series("two <b>", [(90.0, 5.0), (100.0, 0.0)], style_of(1)),
    Series("three", [(0.0, 80.0)], style_of(2)),
]
NAMESPACE = "{http://www.w3.org/2000/svg}"


def moved(mark: ET.Element) -> tuple[float, float]:
    found = re.match(r"translate\(([\d.-]+),([\d.-]+)\)", mark.attrib["transform"])
    assert found is not None
    return float(found[1]), float(found[2])


def marks_of(svg: str) -> dict[str, tuple[float, float]]:
    """Hint -> where the mark is."""
    paths = ET.fromstring(svg).iter(f"{NAMESPACE}path")
    return {str(path.findtext(f"{NAMESPACE}title")): moved(path) for path in paths}


def test_marks_sit_where_the_data_say() -> None:
    """The axes' ticks are the ruler: a mark at a tick's value must lie on that tick's grid line."""
    marks = marks_of(scatter(SERIES, X, Y, "title"))
    at = {hint.split(":")[0]: place for hint, place in marks.items()}
    left, right = at["three"][0], at["two <b>"][0]
    top, bottom = at["three"][1], at["two <b>"][1]
    assert at["one & only"][0] == pytest.approx(left + 0.2 * (right - left), abs=0.02)  # written with two decimals
    assert at["one & only"][1] == pytest.approx(bottom - 60 / 80 * (bottom - top), abs=0.02)  # as above
    grid = [line.attrib["points"] for line in ET.fromstring(scatter(SERIES, X, Y, "t")).iter(f"{NAMESPACE}polyline")]
    assert any(points.startswith(f"{left:g},{top:g} ") for points in grid)


def test_curves_mark_every_turn_from_left_to_right() -> None:
    svg = curves([Series("a", [(1, 1.0), (2, 2.0), (4, 1.5)], style_of(0))], turn_axis(4), axis("y", [0, 2]), "t")
    points = [place for hint, place in marks_of(svg).items() if hint != "a"]
    assert points[0][0] < points[1][0]
    # Coordinates are written with two decimals.
    assert points[2][0] - points[1][0] == pytest.approx(2 * (points[1][0] - points[0][0]), abs=0.05)
    assert points[1][1] < points[2][1] < points[0][1]  # the larger, the higher


@pytest.mark.parametrize("draw", [scatter, curves, panels])
def test_plots_name_themselves_and_every_method(draw) -> None:  # type: ignore[no-untyped-def]
    root = ET.fromstring(draw(SERIES, X, Y, "A title & more"))
    assert root.findtext(f"{NAMESPACE}title") == "A title & more"
    assert root.attrib["role"] == "img"
    texts = [element.text for element in root.iter(f"{NAMESPACE}text")]
    assert {series.label for series in SERIES} <= set(texts)
    described = root.findtext(f"{NAMESPACE}desc")
    assert described is not None
    assert all(series.label in described for series in SERIES)


def test_a_plot_without_points_is_still_a_picture() -> None:
    for draw in (scatter, curves, panels):
        ET.fromstring(draw([Series("nothing", [], style_of(0))], X, Y, "t"))


def test_a_plot_as_a_file_brings_its_colours() -> None:
    root = ET.fromstring(standalone(scatter(SERIES, X, Y, "t")))
    assert "prefers-color-scheme:dark" in str(root.findtext(f"{NAMESPACE}style"))


def test_looks_repeat_late() -> None:
    looks = {style_of(index)[:2] for index in range(56)}
    assert len(looks) == 56


@given(
    st.lists(st.tuples(st.floats(30, 770), st.floats(30, 470)), min_size=1, max_size=20, unique=True),
)
def test_labels_cover_neither_each_other_nor_marks(marks: list[tuple[float, float]]) -> None:
    bounds = Box(0, 0, 800, 500)
    boxes = place(marks, ["rf_inversion"] * len(marks), bounds)
    assert not any(a.meets(b) for a, b in itertools.combinations(boxes, 2))
    assert all(box.inside(bounds) for box in boxes)
    assert not any(box.left < x < box.right and box.top < y < box.bottom for box in boxes for x, y in marks)


@given(st.lists(st.floats(0, 400), max_size=25))
def test_labels_at_the_end_of_lines_are_apart_and_in_order(wanted: list[float]) -> None:
    placed = spread(wanted, LINE, 0.0, 400.0)
    assert all(-1e-6 <= at <= 400.0 + 1e-6 for at in placed)
    ordered = sorted(range(len(wanted)), key=lambda i: wanted[i])
    for a, b in itertools.pairwise(ordered):
        assert placed[b] - placed[a] >= LINE - 1e-6


def test_labels_with_room_stay_where_they_want_to_be() -> None:
    assert spread([300.0, 10.0, 100.0], LINE, 0.0, 400.0) == [300.0, 10.0, 100.0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_axes_hold_their_values(values: list[float]) -> None:
    found = axis("y", values)
    assert found.low <= min(values)
    assert found.high >= max(values)
    assert found.low < found.high
    slack = 1e-6 * (found.high - found.low)
    assert all(found.low - slack <= tick <= found.high + slack for tick in found.ticks)


def test_a_share_is_never_drawn_beyond_100_percent() -> None:
    assert axis("%", [3.0, 99.0], within=(0.0, 100.0)) == Axis("%", 0.0, 100.0, (0.0, 20.0, 40.0, 60.0, 80.0, 100.0))
