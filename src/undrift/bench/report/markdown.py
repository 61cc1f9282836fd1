"""A document as Markdown, its figures as files in a folder beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from undrift.bench.report.document import Block, Bullets, Cell, Document, Figure, Section, Table, Text
from undrift.bench.report.svg import standalone

FIGURES = "figures"
_SPECIAL = str.maketrans({"\\": "\\\\", "|": "\\|", "<": "&lt;", "*": "\\*", "`": "\\`"})


def markdown_page(document: Document) -> str:
    """The text; figures are linked as ``figures/NAME.SUFFIX``."""
    parts = [f"# {_plain(document.title)}", _plain(document.lead), *map(_section, document.sections)]
    return "\n\n".join(parts) + "\n"


def figure_files(document: Document) -> Mapping[str, bytes]:
    """What the text links to: file name -> content."""
    figures = [block for section in document.sections for block in section.blocks if isinstance(block, Figure)]
    return {f"{figure.name}.{figure.suffix}": _content(figure) for figure in figures}


def _content(figure: Figure) -> bytes:
    return standalone(figure.content).encode() if isinstance(figure.content, str) else figure.content


def _section(section: Section) -> str:
    return "\n\n".join([f"## {_plain(section.title)}", *map(_block, section.blocks)])


def _block(block: Block) -> str:
    match block:
        case Text():
            return _plain(block.text)
        case Bullets():
            return "\n".join(f"- {_plain(item)}" for item in block.items)
        case Table():
            return _table(block)
        case Figure():
            return f"![{_plain(block.alt)}]({FIGURES}/{block.name}.{block.suffix})\n\n{_plain(block.caption)}"


def _table(table: Table) -> str:
    last = len(table.header) - 1
    lines = [_line(map(_plain, table.header)), _line([":--"] + ["--:"] * last)]
    lines += [_line(_cell(c, table.code and n == last) for n, c in enumerate(row)) for row in table.rows]
    return f"**{_plain(table.caption)}**\n\n" + "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(cell: Cell, code: bool) -> str:
    return f"`{cell.words.replace('|', '/')}`" if code and cell.words else _plain(cell.words)


def _plain(text: str) -> str:
    return text.translate(_SPECIAL)
