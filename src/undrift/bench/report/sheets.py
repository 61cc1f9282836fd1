"""Contact sheets: a case by every method, the right answers in the first row."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from undrift.bench.case import Case
from undrift.bench.report import choice
from undrift.bench.report.document import Figure
from undrift.bench.report.results import Arm, Results
from undrift.errors import UndriftError
from undrift.pictures import read_picture

SIDE = 64
GAP = 4
HEAD = 20
LETTER = 12
FIRST = 2
MOST_TURNS = 7
QUALITY = 72
_PAPER, _INK, _EMPTY = (253, 253, 251), (28, 30, 34), (226, 227, 224)

Draw = Callable[[int], Image.Image | None]
"""Turn (0 is the original) to picture; None if there is none."""


def contact_sheets(results: Results, reference: Arm) -> list[Figure]:
    """The sheets of the cases that ``chosen_cases`` picks."""
    return [_sheet(results, case, why) for case, why in chosen_cases(results, reference).items()]


def chosen_cases(results: Results, reference: Arm) -> dict[str, str]:
    """Case -> why it is shown: the first two, then the reference's best, median and worst by its mean score."""
    reasons: dict[str, list[str]] = {}
    for case in results.cases[:FIRST]:
        reasons.setdefault(case, []).append("among the first cases")
    for case, why in _ranked(results, reference):
        reasons.setdefault(case, []).append(why)
    return {case: " and ".join(why) for case, why in reasons.items()}


def _ranked(results: Results, reference: Arm) -> Iterator[tuple[str, str]]:
    infos = choice.present(results, choice.RANKING) or choice.headlines(results)
    if not infos:
        return
    info = infos[0]
    values = results.values(reference, info.name)
    rows = [row for row in range(len(results.cases)) if np.isfinite(values[row]).any()]
    sign = -1.0 if info.higher_is_better is False else 1.0
    rows.sort(key=lambda row: (-sign * float(np.nanmean(values[row])), row))
    if rows:
        for word, row in (("best", rows[0]), ("median", rows[len(rows) // 2]), ("worst", rows[-1])):
            yield results.cases[row], f"{reference.label}'s {word} case by mean {info.title.lower()}"


def shown_turns(turns: int) -> list[int]:
    """The original, and at most seven turns, evenly, the first and the last among them."""
    if turns <= MOST_TURNS:
        return list(range(turns + 1))
    return [0, *(int(turn) for turn in np.linspace(1, turns, MOST_TURNS).round())]


def _sheet(results: Results, name: str, why: str) -> Figure:
    case = results.known.get(name)
    turns = shown_turns(case.turns if case else results.turns)
    rows = _rows(results, name, case)
    sheet = _drawn(rows, turns)
    labels = ", ".join(label for label, _ in rows)
    alt = f"Pictures of case {name}: rows {labels}; columns {', '.join(map(_turn_title, turns))}."
    caption = f"Case {name}, {why}. {_asked(results, name, turns)}"
    return Figure(f"sheet-{name}", _webp(sheet), sheet.size, alt, caption)


def _rows(results: Results, name: str, case: Case | None) -> list[tuple[str, Draw]]:
    rows = [(arm.label, _made(arm, name, case)) for arm in results.arms]
    if case is not None and _tolerant(lambda: case.truth(1)) is not None:
        rows.insert(0, ("ground truth", lambda turn: _tolerant(lambda: case.truth(turn))))
    return rows


def _made(arm: Arm, name: str, case: Case | None) -> Draw:
    def draw(turn: int) -> Image.Image | None:
        if turn == 0:
            return None if case is None else _tolerant(case.original)
        file = arm.picture(name, turn)
        return None if file is None else _tolerant(lambda: read_picture(file))

    return draw


def _tolerant(read: Callable[[], Image.Image | None]) -> Image.Image | None:
    """A picture that cannot be read leaves its place empty; that it is missing is listed among the failures."""
    try:
        return read()
    except (UndriftError, OSError):
        return None


def _asked(results: Results, name: str, turns: Sequence[int]) -> str:
    tasks = {r.turn: r for arm in results.arms for r in arm.records.get(name, ())}
    if not tasks:
        return ""
    first = tasks[min(tasks)]
    asked = [f"turn {turn}: {tasks[turn].target_prompt}" for turn in turns if turn in tasks]
    return f"Original: {first.source_prompt}; {'; '.join(asked)}."


def _turn_title(turn: int) -> str:
    return "original" if turn == 0 else f"turn {turn}"


def _drawn(rows: Sequence[tuple[str, Draw]], turns: Sequence[int]) -> Image.Image:
    letters = ImageFont.load_default(size=LETTER)
    left = int(max(letters.getlength(label) for label, _ in rows)) + 2 * GAP
    pitch = SIDE + GAP
    sheet = Image.new("RGB", (left + pitch * len(turns), HEAD + pitch * len(rows)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, turn in enumerate(turns):
        draw.text((left + column * pitch + SIDE / 2, 3), _turn_title(turn), fill=_INK, font=letters, anchor="ma")
    for row, (label, picture) in enumerate(rows):
        top = HEAD + row * pitch
        draw.text((GAP, top + SIDE / 2), label, fill=_INK, font=letters, anchor="lm")
        for column, turn in enumerate(turns):
            _paste(sheet, picture(turn), (left + column * pitch, top))
    return sheet


def _paste(sheet: Image.Image, picture: Image.Image | None, at: tuple[int, int]) -> None:
    if picture is None:
        ImageDraw.Draw(sheet).rectangle((*at, at[0] + SIDE - 1, at[1] + SIDE - 1), fill=_EMPTY)
        return
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    sheet.paste(small, (at[0] + (SIDE - small.width) // 2, at[1] + (SIDE - small.height) // 2))


def _webp(sheet: Image.Image) -> bytes:
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=QUALITY, method=6)
    return file.getvalue()
