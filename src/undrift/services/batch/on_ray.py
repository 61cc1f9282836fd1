"""The rows of a batch on a Ray cluster: one worker per GPU or core, each with a model of its own.

Every worker writes sessions and pictures into the batch's folder itself, so that all of them must see it, and the
pictures, at the same path. A worker that dies is replaced, and its row goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from undrift.bench.runner.ray_place import Cluster, RemoteModel
from undrift.services.batch.making import Order, Result, make
from undrift.services.batch.table import Item
from undrift.session.store import Session


@dataclass(frozen=True)
class PlainOrder:
    """An ``Order`` and its rows in plain values, as a worker is told of them.

    Attributes:
        folder: of the batch, absolute.
        items: its rows.
        method, preset, overrides, dial: the editor of rows that name none.
        seed: of turns whose row names none.
        llm, llm_model: reads instructions; its key is that of the worker's environment.
        captions: the captioning model, None if nobody named one.
        editor: the editor by instructions that somebody named, None if nobody did.
    """

    folder: Path
    items: tuple[Item, ...]
    method: str
    preset: str = "default"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    dial: float = 0.0
    seed: int = 0
    llm: str | None = None
    llm_model: str | None = None
    captions: str | None = None
    editor: str | None = None

    def order(self) -> Order:
        """The order, with the models that it names."""
        from undrift.backbones.editors import name_editor
        from undrift.instructions.chat_model import chat_model
        from undrift.methods import registry
        from undrift.services.captions import Captioner

        if self.editor is not None:
            name_editor(self.editor)
        chosen = registry.choose(self.method, self.preset, self.overrides, self.dial)
        captioner = None if self.captions is None else Captioner(self.captions)
        return Order(self.folder, chosen, self.seed, chat_model(self.llm, self.llm_model), captioner)


@dataclass(frozen=True)
class Outcome:
    """A ``Result`` in plain values: the session by its folder within the batch's, its turns by their ids."""

    item: str
    session: str | None = None
    turns: tuple[str, ...] = ()
    made: int = 0
    error: str = ""
    captioned: str = ""

    def result(self, item: Item, folder: Path) -> Result:
        """The result, its session opened here."""
        if self.session is None:
            return Result(item, None, (), self.made, self.error, self.captioned)
        session = Session.open(folder / self.session)
        turns = session.tree().turns
        return Result(item, session, tuple(turns[key] for key in self.turns), self.made, self.error, self.captioned)


class RemoteRows(RemoteModel):
    """Rows of a batch in a worker's process."""

    def open(self, asked: PlainOrder) -> None:
        """Take a batch on. What cannot be said here is said of every row."""
        self._items = {item.id: item for item in asked.items}
        self._asked = asked
        self._order: Order | None = None

    def work(self, row: str, given_up: str | None) -> Outcome:
        """Make a row, or say why it is given up."""
        if given_up is not None:
            return Outcome(row, error=given_up)
        self._order = self._order or self._asked.order()
        result = next(make([self._items[row]], self._order, self._backbone))
        folder = None if result.session is None else str(result.session.folder.relative_to(self._asked.folder))
        turns = tuple(turn.id for turn in result.turns)
        return Outcome(row, folder, turns, result.made, result.error, result.captioned)


class RowsOnRay(Cluster):
    """A batch's rows on a cluster."""

    kind = RemoteRows
    hint = "a smaller picture, or fewer workers, need less memory"

    def make(self, asked: PlainOrder, folder: Path, told: Callable[[Result], None]) -> list[Result]:
        """What became of every row, in the table's order; ``told`` hears of each when it is finished.

        Args:
            asked: what the workers are told.
            folder: of the batch, as this process names it.
            told: hears.

        Raises:
            Cancelled: the user stopped it; what is finished stays.
        """
        items = {item.id: item for item in asked.items}
        found: dict[str, Result] = {}

        def hear(outcome: Outcome) -> None:
            found[outcome.item] = result = outcome.result(items[outcome.item], folder)
            told(result)

        self.spread((asked,), list(items), hear)
        return [found[row] for row in items]


def absolute(items: Sequence[Item]) -> tuple[Item, ...]:
    """Rows whose files a worker in another folder finds."""
    return tuple(replace(item, folder=item.folder.absolute()) for item in items)
