"""A click on a thing: what the model sees in a turn's picture, kept for the next click on it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from undrift.pictures import Check
from undrift.session.model import Turn
from undrift.session.store import Session
from undrift.session.things import Seen, runs_of, see, thing_at
from undrift.studio.forms import SelectForm
from undrift.studio.studio import Studio

KEPT = 4
"""Pictures whose tokens' likeness is remembered: up to 35 MB each."""


class Sights:
    """What the model saw in the pictures that were clicked last."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], Seen] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> Seen | None:
        with self._lock:
            if key in self._seen:
                self._seen.move_to_end(key)
            return self._seen.get(key)

    def put(self, key: tuple[str, str], seen: Seen) -> None:
        with self._lock:
            self._seen[key] = seen
            while len(self._seen) > KEPT:
                self._seen.popitem(last=False)


def select(studio: Studio, sights: Sights, session: Session, form: SelectForm, check: Check) -> dict[str, Any]:
    """The thing at a point of a turn's picture: ``runs`` of pixels, (row, start, stop) each.

    A model that is at work is not waited for: ``busy`` is true then and ``runs`` empty, unless this picture was
    looked at before.

    Raises:
        InputError: no such turn, a point outside of it, or a model that tells no things apart.
        Cancelled: ``check`` raised it.
    """
    turn = session.tree().turn(form.turn)
    seen = _seen(studio, sights, session, turn, check)
    if seen is None:
        return {"busy": True, "runs": []}
    return {"busy": False, "runs": runs_of(thing_at(seen, (form.x, form.y), form.reach))}


def _seen(studio: Studio, sights: Sights, session: Session, turn: Turn, check: Check) -> Seen | None:
    def look() -> Seen:
        backbone = studio.backbone
        key = (turn.image_hash, backbone.identity.weights_hash)
        found = sights.get(key)
        if found is None:
            found = see(backbone, session.picture(turn), turn.prompt)
            sights.put(key, found)
        return found

    known = sights.get((turn.image_hash, studio.backbone.identity.weights_hash))
    return known or studio.jobs.aside(look, check)
