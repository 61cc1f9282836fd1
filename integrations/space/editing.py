"""What a visitor of the Space does, without the page: begin, say what to change, go back."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from PIL import Image

from undrift import Backbone, Session, method, run_turn, start_session
from undrift.errors import InputError
from undrift.pictures import read_picture
from undrift.session.prompts import prompt_diff
from undrift.session.saying import heard, said_plan

MOST_PIXELS = 4_000_000
MOST_BYTES = 32 * 2**20
MOST_TURNS = 50
LONGEST_TEXT = 2000
_MARKS = {"kept": "{}", "removed": "~~{}~~", "added": "**{}**"}


@dataclass(frozen=True)
class Visit:
    """One visitor's session, in a folder of its own that goes with the visit."""

    folder: Path

    @property
    def session(self) -> Session:
        """The session."""
        return Session.open(self.folder / "session")

    def pictures(self) -> list[tuple[Image.Image, str]]:
        """The pictures up to the head, each with what was said or shown."""
        session = self.session
        return [(session.picture(turn), turn.told) for turn in session.path(session.head)]

    def end(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def opened(file: str | None) -> Image.Image | None:
    """The picture in an uploaded file, which is looked at before anything of it is decoded; None if there is none.

    Raises:
        PictureError: no picture, a damaged one, an animation, or a very large one.
    """
    return None if file is None else read_picture(Path(file).read_bytes(), max_megapixels=MOST_PIXELS / 1e6)


def begin(model: Backbone, picture: Image.Image | None, caption: str) -> Visit:
    """Begin with a picture and what it shows.

    Raises:
        InputError: no picture, a very large one, or a long caption.
    """
    if picture is None:
        raise InputError("bring a picture first")
    if picture.width * picture.height > MOST_PIXELS:
        raise InputError(f"the picture has more than {MOST_PIXELS / 1e6:g} megapixels: make it smaller")
    _check(caption)
    visit = Visit(Path(tempfile.mkdtemp(prefix="undrift-space-")))
    try:
        start_session(visit.folder / "session", picture.convert("RGB"), caption, model)
    except Exception:
        visit.end()
        raise
    return visit


def say(model: Backbone, visit: Visit | None, text: str, editor: str = "undrift", dial: float = 0.0) -> str:
    """Make the turn that ``text`` asks for; what it was read as, in Markdown.

    Raises:
        UndriftError: nothing was begun, too many turns, or no sure reading of the text.
    """
    if visit is None:
        raise InputError("begin with a picture first")
    _check(text)
    session = visit.session
    tree = session.tree()
    if len(tree.turns) > MOST_TURNS:
        raise InputError(f"this session has {MOST_TURNS} turns, as many as are kept here: begin a new one")
    reading = heard(tree, text)
    if reading.turn is not None:
        session.checkout(tree.path(tree.head)[reading.turn].id)
        return f"Back to turn {reading.turn}."
    run_turn(session, model, method(editor, model, dial=dial), said_plan(reading, tree.head), tree=tree)
    parts = groupby(prompt_diff(reading.source, reading.target), key=lambda part: part[0])
    changed = " ".join(_MARKS[change].format(" ".join(word for _, word in words)) for change, words in parts)
    return f"Read as {'an instruction' if reading.form == 'instruction' else 'a caption'}: {changed}"


def undo(visit: Visit | None) -> None:
    """Go back one turn.

    Raises:
        InputError: there is none.
    """
    if visit is None:
        raise InputError("begin with a picture first")
    visit.session.undo()


def _check(text: str) -> None:
    if len(text) > LONGEST_TEXT:
        raise InputError(f"the text has {len(text)} characters, at most {LONGEST_TEXT} are taken")
