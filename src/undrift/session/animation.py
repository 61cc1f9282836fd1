"""The turns of a session one after another: an animated WebP, or a GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from undrift.errors import InputError
from undrift.outputs import write_output
from undrift.session.lettering import BODY, font, wrapped
from undrift.session.model import Turn
from undrift.session.store import Session

FORMATS = {".webp": "WEBP", ".gif": "GIF"}
SECONDS = 1.0
NARROWEST = 256
"""Captioned pictures are enlarged by whole numbers to this width in pixels, so that their text has room."""

LINES, LINE, MARGIN = 2, 18, 6
_PAPER, _INK = (252, 252, 250), (28, 30, 34)


def write_animation(
    session: Session,
    path: str | Path,
    turns: Sequence[Turn] | None = None,
    *,
    seconds: float = SECONDS,
    captions: bool = False,
) -> None:
    """Write turns as an animation that repeats for ever; the ending of ``path`` says whether WebP or GIF.

    WebP keeps every pixel (lossless), GIF at most 256 colours a picture.

    Args:
        session: whose turns.
        path: ends in .webp or .gif.
        turns: which; None takes the path from the original to the head.
        seconds: how long each is shown.
        captions: with the turn's number and prompt below the picture.

    Raises:
        InputError: another ending, or a duration out of range.
        SessionError: ``path`` cannot be written.
    """
    write_output(path, animation(session, turns, kind=kind_of(path), seconds=seconds, captions=captions))


def kind_of(path: str | Path) -> str:
    """WEBP or GIF, as the ending of ``path`` says.

    Raises:
        InputError: another ending.
    """
    kind = FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise InputError(f"'{path}': expected a name that ends in {' or '.join(FORMATS)}")
    return kind


def animation(
    session: Session,
    turns: Sequence[Turn] | None = None,
    *,
    kind: str = "WEBP",
    seconds: float = SECONDS,
    captions: bool = False,
) -> bytes:
    """The contents of the file that ``write_animation`` writes; ``kind`` is WEBP or GIF."""
    if not 0.02 <= seconds <= 60.0:
        raise InputError(f"each turn is to be shown for {seconds} s, expected 0.02 to 60 s")
    chosen = session.path(session.head) if turns is None else turns
    pictures = [_captioned(session.picture(turn), turn) if captions else session.picture(turn) for turn in chosen]
    return animated(pictures, kind, seconds)


def animated(pictures: Sequence[Image.Image], kind: str, seconds: float) -> bytes:
    """``pictures`` of one size one after another, each for ``seconds``, for ever; ``kind`` as ``kind_of`` says."""
    frames = list(pictures)
    if kind == "GIF":
        frames = [frame.quantize(dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        kind,
        save_all=True,
        append_images=frames[1:],
        duration=round(1000 * seconds),
        loop=0,
        lossless=True,
        exact=True,
    )
    return buffer.getvalue()


def _captioned(picture: Image.Image, turn: Turn) -> Image.Image:
    factor = max(1, -(-NARROWEST // picture.width))
    width, height = factor * picture.width, factor * picture.height
    frame = Image.new("RGB", (width, height + LINES * LINE + 2 * MARGIN), _PAPER)
    frame.paste(picture.resize((width, height), Image.Resampling.LANCZOS if factor > 1 else Image.Resampling.NEAREST))
    draw = ImageDraw.Draw(frame)
    for number, line in enumerate(wrapped(f"{turn.number}  {turn.prompt}", width - 2 * MARGIN, draw, LINES)):
        draw.text((MARGIN, height + MARGIN + number * LINE), line, fill=_INK, font=font(BODY))
    return frame
