"""A report's table as plain text in columns, for a terminal of any width."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from undrift.bench.report.document import EMPTY, Cell, Table

GAP = 2
"""Spaces between two columns."""
TITLE = 15
"""Characters that a line of a title may take though the cells below are narrower."""


@dataclass(frozen=True)
class _Column:
    title: Sequence[str]
    cells: Sequence[str]

    @property
    def width(self) -> int:
        return max(map(len, [*self.title, *self.cells]), default=0)


def in_columns(table: Table, width: int) -> str:
    """``table`` as lines of at most ``width`` characters where the first column and one other fit into that many.

    Columns that find no room follow in further blocks, each with the first column again. What most cells note, such
    as n, is said once, above.
    """
    usual = _usual_note(table)
    made = [
        _column(title, [_shown(row[number], usual) for row in table.rows])
        for number, title in enumerate(table.header)
    ]
    caption = table.caption + (f" {usual} unless a cell says another." if usual else "")
    blocks = ("\n".join(_lines(block)) for block in _blocks(made, width))
    return "\n\n".join([textwrap.fill(caption, width, break_long_words=False), *blocks])


def _usual_note(table: Table) -> str:
    notes = Counter(cell.note for row in table.rows for cell in row if cell.note)
    return notes.most_common(1)[0][0] if notes else ""


def _shown(cell: Cell, usual: str) -> str:
    if cell is EMPTY:
        return "-"
    return Cell(cell.text, "" if cell.note == usual else cell.note, cell.mark).words


def _column(title: str, cells: Sequence[str]) -> _Column:
    widest = max([TITLE, *map(len, cells)])
    return _Column(textwrap.wrap(title, widest, break_long_words=False), cells)


def _blocks(columns: Sequence[_Column], width: int) -> Iterator[list[_Column]]:
    names, *others = columns
    block = [names]
    for column in others:
        taken = sum(one.width + GAP for one in block) + column.width
        if taken > width and len(block) > 1:
            yield block
            block = [names]
        block.append(column)
    yield block


def _lines(block: Sequence[_Column]) -> Iterator[str]:
    height = max(len(column.title) for column in block)
    padded = [[""] * (height - len(column.title)) + [*column.title, *column.cells] for column in block]
    for line in zip(*padded, strict=True):
        first, *rest = zip(line, block, strict=True)
        cells = [first[0].ljust(first[1].width), *(text.rjust(column.width) for text, column in rest)]
        yield (" " * GAP).join(cells).rstrip()
