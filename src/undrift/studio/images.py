"""Pictures for the page: turns, thumbnails, heat maps and masks, all of them functions of turns that never change."""

from __future__ import annotations

import re
from functools import lru_cache

from undrift.pictures import png_bytes
from undrift.session.compare import heat_map, mask_overlay
from undrift.session.model import Turn
from undrift.session.store import Session
from undrift.studio.http_errors import Refused

THUMBNAIL = 160
"""Longer side in pixels: two screen pixels for each that is shown."""

_OWN_FILE = re.compile(r"(pictures|masks|regions)/[0-9a-f]{12}\.png")


def picture(session: Session, turn: Turn) -> bytes:
    """The PNG of a turn as it is stored."""
    return session.contents(turn, _own(turn.image))


@lru_cache(maxsize=512)
def thumbnail(session: Session, turn_id: str) -> bytes:
    """A small PNG of a turn."""
    turn = session.turn(turn_id)
    _own(turn.image)
    small = session.picture(turn)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return png_bytes(small)


def heat(session: Session, first: Turn, second: Turn) -> bytes:
    """Where two turns differ."""
    _own(first.image), _own(second.image)
    return png_bytes(heat_map(session.picture(first), session.picture(second)))


def overlay(session: Session, turn: Turn) -> bytes:
    """Where a turn edited, over its picture: the mask that the method used, else the region that it was allowed.

    Raises:
        Refused: it has neither (404).
    """
    used = turn.mask or turn.region_file
    if used is None:
        raise Refused(404, f"turn {turn.number} has no mask")
    _own(used), _own(turn.image)
    where = session.mask(turn) if turn.mask else session.region(turn)
    assert where is not None  # checked above
    return png_bytes(mask_overlay(session.picture(turn), where, token_side=turn.token_side))


def _own(name: str) -> str:
    """``name`` if it is one that undrift gives: a session from elsewhere must not point out of its folder."""
    if not _OWN_FILE.fullmatch(name):
        raise Refused(404, f"this session names a file that is not one of its own: {name[:80]!a}")
    return name
