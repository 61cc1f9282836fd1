"""What a report consists of, before it is HTML or Markdown: one content, so that both say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Mark = Literal["better", "worse", "neutral"]
SYMBOLS: dict[Mark, str] = {"better": "▲", "worse": "▼", "neutral": "◆"}
"""Of a difference beyond noise; a mark is never colour alone."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what it says.
        note: what follows in small print, such as n.
        mark: set if the number differs beyond noise.
        prose: whether it is a sentence, which is set over several lines, and no number.
    """

    text: str
    note: str = ""
    mark: Mark | None = None
    prose: bool = False

    @property
    def words(self) -> str:
        """The whole content as text."""
        symbol = f"{SYMBOLS[self.mark]} " if self.mark else ""
        return f"{symbol}{self.text}{f' ({self.note})' if self.note else ''}"


EMPTY = Cell("\N{EN DASH}")
"""Unscored, which is not zero."""


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first column names the rows.

    Attributes:
        caption: what the numbers are; also the table's accessible name.
        header: one title per column.
        rows: as many cells as the header has.
        code: whether the last column is code.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    code: bool = False


@dataclass(frozen=True)
class Figure:
    """A picture with a caption and with words for those who do not see it.

    Attributes:
        name: of its file beside the Markdown, without suffix.
        content: SVG text or the bytes of a raster picture.
        size: (width, height) it is meant to be shown at, in pixels.
        alt: what it shows.
        caption: how to read it.
    """

    name: str
    content: str | bytes
    size: tuple[int, int]
    alt: str
    caption: str

    @property
    def suffix(self) -> str:
        """Of its file: "svg" or "webp"."""
        return "svg" if isinstance(self.content, str) else "webp"


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: Sequence[str]


Block = Table | Figure | Text | Bullets


@dataclass(frozen=True)
class Section:
    """A titled part of the report."""

    id: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A report."""

    title: str
    lead: str
    sections: Sequence[Section]
