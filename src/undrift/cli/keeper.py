"""Keeps the last model in memory from one command to the next, in a process that runs several. Loads torch."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from undrift.backbones import Backbone
from undrift.backbones.hub import Tell
from undrift.backbones.loading import tell_other_weights
from undrift.backbones.locate import locate
from undrift.errors import UndriftError
from undrift.files import named
from undrift.session.ahead import Ahead
from undrift.session.maker import usual_model
from undrift.session.store import Session


class Keeper:
    """The model that was used last.

    It is taken again where it was asked for by the same name, held in the same way, and none of its files was written
    since; else it leaves the memory before the other one is loaded.

    Args:
        looks_ahead: whether it computes, and keeps, what may be asked next.

    Attributes:
        ahead: prepares the next turn of the session that a command worked on last.
        looks_ahead: as given.
    """

    def __init__(self, looks_ahead: bool = True) -> None:
        self.ahead, self.looks_ahead = Ahead(), looks_ahead
        self._key: object = None
        self._backbone: Backbone | None = None

    def kept(
        self,
        load: Callable[..., Backbone],
        name: str,
        *,
        weights: str | None = None,
        named: bool = True,
        tell: Tell,
        revision: str | None = None,
        transformer: Path | None = None,
        loras: Sequence[str] = (),
        **held: Any,
    ) -> Backbone:
        """The model ``name``; see ``undrift.backbones.load``, whose arguments these are, for what may be raised."""
        folder = locate(name, revision, named=named, tell=tell)
        given = (folder.file, transformer, *map(_adapter, loras))
        added = [path.absolute() for path in given if path is not None]
        files = [_stamp(file) for file in (*sorted(folder.path.rglob("*")), *added) if file.is_file()]
        key = (name, folder.path, tuple(loras), transformer, sorted(held.items()), files)
        if self._backbone is None or key != self._key:
            self.drop()
            options = {"revision": revision, "transformer": transformer, "loras": loras, "named": named, **held}
            self._backbone, self._key = load(name, tell=tell, **options), key
        if weights is not None:
            tell_other_weights(self._backbone.identity, name, weights)
        return self._backbone

    def moved(self, folder: Path) -> None:
        """The session in ``folder`` is at another turn: prepare the next one from there, if the model is its own."""
        try:
            session = Session.open(folder)
            own = self._backbone is not None and usual_model(session, session.head) == self._backbone.identity.name
        except UndriftError:  # it is none any more, and nobody asked for anything
            return
        if own and self._backbone is not None:
            self.ahead.expect(session, self._backbone)

    def drop(self) -> None:
        """Let go of the model, and give its memory back."""
        self.ahead.forget()
        self._backbone = self._key = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _adapter(text: str) -> Path:
    """The file of ``FILE`` or ``FILE:SCALE``."""
    return named(text if named(text).exists() else text.rpartition(":")[0] or text)


def _stamp(file: Path) -> tuple[str, int, int]:
    found = file.stat()
    return str(file), found.st_size, found.st_mtime_ns
