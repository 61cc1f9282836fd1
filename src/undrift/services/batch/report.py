"""What became of a batch: one page to look at, one line of JSON a row."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from undrift.bench.report.document import Block, Cell, Document, Figure, Section, Table, Text
from undrift.bench.report.html import html_page
from undrift.errors import UndriftError
from undrift.files import write_atomically
from undrift.services.batch.making import PICTURES, Result

PAGE, LINES = "report.html", "results.jsonl"
SIDE = 200
"""Longer side of a picture on the page, in pixels."""

MOST_SHOWN = 200
"""Rows whose pictures are on the page; beyond, it would be too large to open."""


def write_report(folder: Path, results: Sequence[Result]) -> None:
    """Write ``report.html`` and ``results.jsonl`` into ``folder``.

    Raises:
        SessionError: it cannot be written.
    """
    write_atomically(folder / LINES, "".join(json.dumps(_record(folder, each)) + "\n" for each in results).encode())
    write_atomically(folder / PAGE, html_page(_document(results)).encode())


def _record(folder: Path, result: Result) -> dict[str, object]:
    done = not result.error
    return {
        "id": result.item.id,
        "picture": result.item.row.picture,
        "error": result.error or None,
        "captioned_by": result.captioned or None,
        "session": None if result.session is None else str(result.session.folder.relative_to(folder)),
        "result": f"{PICTURES}/{result.item.id}.png" if done else None,
        "turns": [
            {
                "id": turn.id,
                "said": turn.spec.instruction if turn.spec else None,
                "prompt": turn.prompt,
                "drift": turn.drift_original.model_dump() if turn.drift_original else None,
                "evaluations": turn.evaluations,
                "seconds": turn.seconds,
            }
            for turn in result.turns
        ],
    }


def _document(results: Sequence[Result]) -> Document:
    failed = [result for result in results if result.error]
    lead = f"{len(results)} rows, {len(results) - len(failed)} finished, {len(failed)} failed."
    sections = [Section("rows", "Rows", [_table(results)])]
    shown = [result for result in results if result.session is not None and len(result.turns) > 1][:MOST_SHOWN]
    if shown:
        blocks: list[Block] = [_pictures(number, result) for number, result in enumerate(shown)]
        if len(shown) == MOST_SHOWN:
            blocks.append(Text(f"The first {MOST_SHOWN} rows are shown; all pictures are in the folder."))
        sections.append(Section("pictures", "Pictures", blocks))
    return Document("A batch of edits", lead, sections)


def _table(results: Sequence[Result]) -> Table:
    rows = [
        [
            Cell(result.item.id),
            Cell(f"{max(0, len(result.turns) - 1)} of {len(result.item.row.turns)}"),
            Cell(_drift(result)),
            Cell(result.error or "finished", prose=True),
        ]
        for result in results
    ]
    return Table("What became of each row", ("Row", "Turns", "Changed outside of the edits", "State"), rows)


def _drift(result: Result) -> str:
    drift = result.turns[-1].drift_original if result.turns else None
    return "\N{EN DASH}" if drift is None else drift.text


def _pictures(number: int, result: Result) -> Block:
    """The turns of a row side by side."""
    assert result.session is not None  # chosen so
    try:
        pictures = [result.session.picture(turn) for turn in result.turns]
    except UndriftError as error:
        return Text(f"{result.item.id}: {error}")
    for picture in pictures:
        picture.thumbnail((SIDE, SIDE))
    width, height = pictures[0].size
    strip = Image.new("RGB", (len(pictures) * (width + 6) - 6, height), "white")
    for place, picture in enumerate(pictures):
        strip.paste(picture, (place * (width + 6), 0))
    data = io.BytesIO()
    strip.save(data, "WEBP", quality=88)
    told = " \N{RIGHTWARDS ARROW} ".join(turn.told or "(no caption)" for turn in result.turns)
    return Figure(
        f"row-{number}", data.getvalue(), strip.size, f"Pictures of row {result.item.id}", f"{result.item.id}: {told}"
    )
