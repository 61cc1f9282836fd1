"""The contact sheet: a session at one glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from undrift.session.compare import heat_map, mask_overlay
from undrift.session.lettering import BODY, font, wrapped
from undrift.session.model import DriftNumbers, Turn
from undrift.session.store import Session

SIDE = 256
PER_BAND = 6
GAP, MARGIN, LABELS = 14, 24, 30
LINE = 19
PROMPT_LINES = 3

_PAPER, _EMPTY, _EDGE = (252, 252, 250), (244, 244, 241), (214, 216, 219)
_INK, _GREY = (28, 30, 34), (104, 109, 117)
_ROWS = ("picture", "highlighted", "changed since the original")


@dataclass(frozen=True)
class _Cell:
    """One turn's column: its caption above, its three pictures below each other."""

    title: str
    prompt: str
    numbers: tuple[str, ...]
    panels: tuple[Image.Image | str, ...]


def contact_sheet(session: Session, turns: Sequence[Turn] | None = None) -> Image.Image:
    """Turns from left to right: prompt, cost and drift; the picture; its mask over it; what changed since turn 0.

    Small pictures are enlarged to about 256 pixels. A mask is the token grid's, so its steps are real.

    Args:
        session: whose turns.
        turns: which; None takes the path from the original to the head.
    """
    chosen = session.path(session.head) if turns is None else turns
    original = session.picture(session.original)
    size = _shown_size(original.size)
    cells = [_cell(session, turn, original, size) for turn in chosen]
    bands = [cells[i : i + PER_BAND] for i in range(0, len(cells), PER_BAND)]
    columns = len(bands[0])
    caption = LINE * (1 + PROMPT_LINES + 2) + 6
    height = caption + len(_ROWS) * (size[1] + GAP)
    # A narrow column would leave no room for a caption.
    pitch = max(size[0], 200) + GAP
    sheet = Image.new("RGB", (2 * MARGIN + LABELS + columns * pitch - GAP, 2 * MARGIN + len(bands) * height), _PAPER)
    for number, band in enumerate(bands):
        top = MARGIN + number * height
        _draw_labels(sheet, top + caption, size)
        for column, cell in enumerate(band):
            _draw_cell(sheet, (MARGIN + LABELS + column * pitch, top), cell, size, caption, pitch - GAP)
    return sheet


def _cell(session: Session, turn: Turn, original: Image.Image, size: tuple[int, int]) -> _Cell:
    picture = session.picture(turn)
    title = "original" if turn.number == 0 else f"turn {turn.number}"
    if turn.kind == "original":
        return _Cell(title, turn.prompt, (f"{turn.width} x {turn.height}",), (_shown(picture, size), "", ""))
    mask = session.mask(turn)
    numbers = (_cost(turn), _drift_text(turn.drift_original))
    where = session.region(turn) if mask is None else mask
    marked = "no mask" if where is None else mask_overlay(picture, where, size, turn.token_side)
    heat = heat_map(original, picture).resize(size, Image.Resampling.NEAREST)
    return _Cell(title, turn.prompt, numbers, (_shown(picture, size), marked, heat))


def _drift_text(numbers: DriftNumbers | None) -> str:
    if numbers is None or numbers.outside == 0:
        return "" if numbers is None else numbers.text
    return f"{'outside' if numbers.outside < 1 else 'whole picture'}: {numbers.text}"


def _cost(turn: Turn) -> str:
    if turn.spec is None:
        return "put back by hand" if turn.restore else "put in by hand"
    return turn.cost


def _shown_size(size: tuple[int, int]) -> tuple[int, int]:
    factor = SIDE / max(size)
    return max(round(size[0] * factor), 1), max(round(size[1] * factor), 1)


def _shown(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture.resize(size, Image.Resampling.LANCZOS)


def _draw_labels(sheet: Image.Image, top: int, size: tuple[int, int]) -> None:
    for row, text in enumerate(_ROWS):
        strip = Image.new("RGB", (size[1], LABELS - 8), _PAPER)
        ImageDraw.Draw(strip).text((size[1] / 2, 2), text, fill=_GREY, font=font(14), anchor="ma")
        sheet.paste(strip.rotate(90, expand=True), (MARGIN, top + row * (size[1] + GAP)))


def _draw_cell(
    sheet: Image.Image, at: tuple[int, int], cell: _Cell, size: tuple[int, int], caption: int, width: int
) -> None:
    draw = ImageDraw.Draw(sheet)
    left, top = at
    draw.text((left, top), cell.title, fill=_INK, font=font(17))
    for number, line in enumerate(wrapped(cell.prompt, width, draw, PROMPT_LINES), 1):
        draw.text((left, top + 2 + number * LINE), line, fill=_INK, font=font(BODY))
    for number, line in enumerate(cell.numbers, 1 + PROMPT_LINES):
        draw.text((left, top + 4 + number * LINE), line, fill=_GREY, font=font(13))
    for row, panel in enumerate(cell.panels):
        _draw_panel(sheet, (left, top + caption + row * (size[1] + GAP)), panel, size)


def _draw_panel(sheet: Image.Image, at: tuple[int, int], panel: Image.Image | str, size: tuple[int, int]) -> None:
    draw = ImageDraw.Draw(sheet)
    frame = (at[0] - 1, at[1] - 1, at[0] + size[0], at[1] + size[1])
    draw.rectangle(frame, fill=_EMPTY, outline=_EDGE)
    if isinstance(panel, Image.Image):
        sheet.paste(panel, at)
    else:
        draw.text((at[0] + size[0] / 2, at[1] + size[1] / 2), panel, fill=_GREY, font=font(14), anchor="mm")
