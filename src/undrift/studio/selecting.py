"""A click on a thing: what the model sees in a turn's picture, kept for the next click on it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from undrift.pictures import Check
from undrift.session.model import Turn
from undrift.session.segmenting import Segmented
from undrift.session.store import Session
from undrift.session.things import Seen, runs_of, see, thing_at
from undrift.studio.forms import SelectForm
from undrift.studio.studio import Studio

KEPT = 4
"""Pictures whose tokens' likeness is remembered: up to 35 MB each."""

Sight = Seen | Segmented
"""A picture as the model, or Segment Anything, has looked at it."""


class Sights:
    """What the model saw in the pictures that were clicked last."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], Sight] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> Sight | None:
        with self._lock:
            if key in self._seen:
                self._seen.move_to_end(key)
            return self._seen.get(key)

    def put(self, key: tuple[str, str], seen: Sight) -> None:
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
    point = form.x, form.y
    thing = seen.thing_at(point, form.reach) if isinstance(seen, Segmented) else thing_at(seen, point, form.reach)
    return {"busy": False, "runs": runs_of(thing)}


def _seen(studio: Studio, sights: Sights, session: Session, turn: Turn, check: Check) -> Sight | None:
    def key() -> tuple[str, str]:
        eyes = studio.backbone.identity.weights_hash if studio.segmenter is None else studio.segmenter.name
        return turn.image_hash, eyes

    def look() -> Sight:
        found = sights.get(key())
        if found is None:
            picture = session.picture(turn)
            by = studio.segmenter
            found = see(studio.backbone, picture, turn.prompt) if by is None else by.see(picture)
            sights.put(key(), found)
        return found

    known = sights.get(key())
    if known is not None or studio.segmenter is not None:
        return known or look()  # Segment Anything waits for no model
    return studio.jobs.aside(look, check)
