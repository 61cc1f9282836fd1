"""Tables as text: what is written where, for terminals of any width."""

from __future__ import annotations

import pytest

from undrift.bench.report.columns import in_columns
from undrift.bench.report.document import EMPTY, Cell, Table

TABLE = Table(
    "What was measured.",
    ["method", "freeze", "a title of many short words"],
    [
        [Cell("first"), Cell("1.0", "n=4"), Cell("20.0 [10.0, 30.0]", "n=4", "better")],
        [Cell("the second"), EMPTY, Cell("2.0", "n=3")],
    ],
)


def test_numbers_stand_under_their_titles_and_the_usual_n_is_said_once() -> None:
    assert in_columns(TABLE, 80).splitlines() == [
        "What was measured. n=4 unless a cell says another.",
        "",
        "                        a title of many",
        "method      freeze          short words",
        "first          1.0  ▲ 20.0 [10.0, 30.0]",
        "the second       -            2.0 (n=3)",
    ]


def test_columns_without_room_follow_below_with_the_names_again() -> None:
    first = [line for line in in_columns(TABLE, 32).splitlines() if line.startswith("first")]
    assert first == ["first          1.0", "first       ▲ 20.0 [10.0, 30.0]"]


@pytest.mark.parametrize("width", [32, 40, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, in_columns(TABLE, width).splitlines())) <= width


def test_a_column_that_fits_nowhere_is_whole_nevertheless() -> None:
    assert "▲ 20.0 [10.0, 30.0]" in in_columns(TABLE, 10)
