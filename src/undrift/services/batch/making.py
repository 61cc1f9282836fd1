"""Making the rows of a batch. A session is its own record of what is done: a turn that it holds is not made again.

What a killed start left behind is what the session engine leaves: finished turns and nothing of the others. So a row
goes on at its first turn that is not there as it is asked for now. Where a row was changed meanwhile, its turns up to
the change stay, and the new ones stand beside the old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from PIL import Image, ImageChops

from undrift.backbones.base import Backbone
from undrift.errors import Cancelled, InputError, UndriftError
from undrift.flow import Observer
from undrift.instructions.exchange import LanguageModel
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.methods.registry import Chosen
from undrift.pictures import open_mask, read_picture
from undrift.services.batch.table import Item
from undrift.session.database import FILE
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.export import export_png
from undrift.session.model import Turn
from undrift.session.provenance import known_prompt
from undrift.session.region import region_of
from undrift.session.repeated import turn_there
from undrift.session.saying import heard, said_plan, told
from undrift.session.store import Session

SESSIONS, PICTURES = "sessions", "pictures"


class Captions(Protocol):
    """Says what pictures show."""

    @property
    def name(self) -> str:
        """What the model is called."""

    def caption(self, picture: Image.Image) -> str:
        """What ``picture`` shows.

        Raises:
            InputError: it says nothing.
        """


@dataclass(frozen=True)
class Order:
    """What holds for all rows that do not say otherwise.

    Attributes:
        folder: where the batch is made.
        chosen: the editor.
        seed: of every turn, so that a turn made twice is the same.
        language: reads instructions; None leaves them to the grammar.
        captioner: says what a picture shows where neither its row nor its metadata does; None leaves that unsaid.
    """

    folder: Path
    chosen: Chosen
    seed: int = 0
    language: LanguageModel | None = None
    captioner: Captions | None = None


@dataclass(frozen=True)
class Result:
    """What became of a row.

    Attributes:
        item: the row.
        session: its folder; None if it never came to one.
        turns: from the original to the last that is there.
        made: how many of them were made in this start.
        error: why it could not be finished, in a line; empty if it was.
        captioned: the captioning model that said in this start what the picture shows; empty if none did.
    """

    item: Item
    session: Session | None = None
    turns: tuple[Turn, ...] = ()
    made: int = 0
    error: str = ""
    captioned: str = ""


Told = Callable[[Item, str], None]
"""Hears of every turn that is there now: its row and what it shows."""


def check_folder(folder: Path) -> None:
    """Refuse a folder with something else in it.

    Raises:
        InputError: it is none of a batch.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SESSIONS).is_dir():
        raise InputError(f"'{folder}' holds other files and no batch: choose another folder with --output")


def method_for(item: Item, order: Order) -> Chosen:
    """The editor of a row.

    Raises:
        InputError: no such method, preset or parameter; the message names the row.
    """
    try:
        return _method_for(item, order)
    except InputError as error:
        raise InputError(f"row '{item.id}': {error}") from None


def _method_for(item: Item, order: Order) -> Chosen:
    row, usual = item.row, order.chosen
    if row.method is None and row.preset is None and row.dial is None and not row.params:
        return usual
    same = row.method in (None, usual.method.name)
    preset = row.preset or (usual.preset if same else "default")
    params = {**(usual.overrides if same else {}), **row.params}
    dial = usual.dial if row.dial is None and same else row.dial or 0.0
    return registry.choose(row.method or usual.method.name, preset, params, dial)


def make(
    items: Sequence[Item],
    order: Order,
    backbone: Backbone,
    observers: Sequence[Observer] = (),
    told: Told | None = None,
) -> Iterator[Result]:
    """Make what is missing of each row, one after another; a row that fails stops none of the others.

    Raises:
        Cancelled: an observer stopped it; what is finished stays.
    """
    for item in items:
        yield _Row(item, order, backbone, observers, told or (lambda item, text: None)).made()


class _Row:
    """One row at work."""

    def __init__(
        self, item: Item, order: Order, backbone: Backbone, observers: Sequence[Observer], told: Told
    ) -> None:
        self._item, self._order, self._backbone = item, order, backbone
        self._observers, self._told = observers, told
        self._session: Session | None = None
        self._turns: list[Turn] = []
        self._made = 0
        self._captioned = ""

    def made(self) -> Result:
        try:
            self._make()
            error = ""
        except (Cancelled, KeyboardInterrupt):
            raise
        except Exception as failure:  # whatever one picture does, the others are made
            error = (
                " ".join(str(failure).split()) if isinstance(failure, UndriftError) else f"unexpected: {failure!r}"
            )
        return Result(self._item, self._session, tuple(self._turns), self._made, error, self._captioned)

    def _make(self) -> None:
        item, order = self._item, self._order
        method = method_for(item, order).fitted(self._backbone.tuned)
        file = item.file(item.row.picture)
        picture = read_picture(file)
        region = self._region(picture.size)
        session = self._session = self._opened(picture, item.row.prompt or known_prompt(file))
        self._turns = [session.original]
        for text in item.row.turns:
            turn = turn_there(session.tree(), self._turns[-1], text, method, self._backbone, self._seed, region)
            if turn is None:
                turn = self._run(text, method, region)
                self._made += 1
            self._turns.append(turn)
            self._told(item, turn.prompt)
        last = self._turns[-1]
        if session.head.id != last.id:
            session.checkout(last.id)
        session.picture(last)  # checks the file against what was stored
        target = order.folder / PICTURES / f"{item.id}.png"
        if self._made or not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            export_png(session, last, target)

    def _opened(self, picture: Image.Image, prompt: str) -> Session:
        """The session of the row, begun if need be; one of another picture or prompt is left as it is.

        Of a picture that nobody described, what its session says of it stays: no model is asked a second time.
        """
        captioner = None if prompt else self._order.captioner
        base = self._order.folder / SESSIONS / self._item.id
        folder, count = base, 1
        while (folder / FILE).is_file():
            found = Session.open(folder)
            shown = found.original.prompt
            if (shown if captioner else shown == prompt) and _same(found.picture(found.original), picture):
                return found
            count += 1
            folder = base.with_name(f"{base.name}-{count}")
        if captioner is not None:
            prompt, self._captioned = captioner.caption(picture), captioner.name
        return start_session(folder, picture, prompt, self._backbone)

    def _region(self, size: tuple[int, int]) -> Image.Image | None:
        named = (self._item.row.only, self._item.row.protect)
        only, protect = (None if name is None else open_mask(self._item.file(name)).image for name in named)
        return region_of(only, protect, size)

    @property
    def _seed(self) -> int:
        return self._order.seed if self._item.row.seed is None else self._item.row.seed

    def _run(self, text: str, method: EditMethod, region: Image.Image | None) -> Turn:
        session, parent = self._session, self._turns[-1]
        assert session is not None  # opened before
        form, language = self._item.row.read_as, self._order.language
        listen = partial(heard, session.tree(), text, parent.id, None, form, language)
        reading = told(listen, text, parent.prompt, method)
        plan: EditPlan = replace(said_plan(reading, parent), seed=self._seed, region=region)
        if session.head.id != parent.id:
            session.checkout(parent.id)
        return run_turn(session, self._backbone, method, plan, self._observers)


def _same(a: Image.Image, b: Image.Image) -> bool:
    return a.size == b.size and ImageChops.difference(a, b).getbbox() is None
