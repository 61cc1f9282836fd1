"""A document as one HTML page that needs nothing from elsewhere: no script, no font, no picture beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from undrift.bench.report.document import Block, Bullets, Cell, Document, Figure, Section, Table, Text


def html_page(document: Document) -> str:
    """The page."""
    style = files("undrift.bench.report").joinpath("page.css").read_text(encoding="utf-8")
    links = "".join(f'<li><a href="#{s.id}">{escape(s.title)}</a></li>' for s in document.sections)
    parts = "\n".join(map(_section, document.sections))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(document.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{escape(document.title)}</h1>\n<p>{escape(document.lead)}</p>\n"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n</header>\n<main>\n{parts}\n</main>\n</body>\n</html>\n'
    )


def _section(section: Section) -> str:
    blocks = "\n".join(map(_block, section.blocks))
    return (
        f'<section id="{section.id}" aria-labelledby="{section.id}-title">\n'
        f'<h2 id="{section.id}-title">{escape(section.title)}</h2>\n{blocks}\n</section>'
    )


def _block(block: Block) -> str:
    match block:
        case Text():
            return f"<p>{escape(block.text)}</p>"
        case Bullets():
            return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in block.items) + "</ul>"
        case Table():
            return _table(block)
        case Figure():
            return _figure(block)


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in table.header)
    body = "\n".join(_row(row, table.code) for row in table.rows)
    # The wrapper scrolls sideways on a narrow screen, and must be reachable by keyboard to do so.
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(table.caption, quote=True)}">\n'
        f"<table>\n<caption>{escape(table.caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _row(row: Sequence[Cell], code: bool) -> str:
    first, *rest = row
    cells = [_cell(cell, code and number == len(rest)) for number, cell in enumerate(rest, 1)]
    return f'<tr><th scope="row">{escape(first.words)}</th>{"".join(cells)}</tr>'


def _cell(cell: Cell, code: bool) -> str:
    if code:
        return f'<td class="code"><code>{escape(cell.words)}</code></td>'
    words = escape(cell.words)
    if cell.note:
        note = escape(f"({cell.note})")
        words = words.removesuffix(note) + f"<small>{note}</small>"
    kind = "prose" if cell.prose else cell.mark
    return f'<td class="{kind}">{words}</td>' if kind else f"<td>{words}</td>"


def _figure(figure: Figure) -> str:
    if isinstance(figure.content, str):
        picture = figure.content
    else:
        data = base64.b64encode(figure.content).decode()
        width, height = figure.size
        alt = escape(figure.alt, quote=True)
        picture = f'<img src="data:image/webp;base64,{data}" width="{width}" height="{height}" alt="{alt}">'
    label = escape(figure.caption, quote=True)
    return (
        f'<figure>\n<div class="wide" role="region" tabindex="0" aria-label="{label}">{picture}</div>\n'
        f"<figcaption>{escape(figure.caption)}</figcaption>\n</figure>"
    )
