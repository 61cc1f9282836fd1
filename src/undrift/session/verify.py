"""Whether a turn's file is what its turn says: for files that come from somewhere else."""

from __future__ import annotations

from undrift.files import sha256
from undrift.pictures import read_picture
from undrift.session import drift, latents, maker
from undrift.session.inside import MAX_FILE
from undrift.session.latents import PADDING
from undrift.session.model import Turn
from undrift.session.reading import Damaged
from undrift.session.references import is_sheet

_PER_PIXEL = 32
_BESIDES = 4 * 1024**2


def most_bytes(turn: Turn) -> int:
    """What a file of ``turn`` may take; pictures and latents of all models stay well below."""
    return min(_PER_PIXEL * turn.width * turn.height + _BESIDES, MAX_FILE)


def check(turn: Turn, name: str, data: bytes) -> None:
    """Check the file ``name`` of ``turn``: its hash; that pictures can be read; sizes.

    Raises:
        Damaged: it is another file, or a latent of another model than the turn's record says.
        PictureError: it is no picture.
        SessionError: it is no latent.
    """
    expected = turn.hashes[name]
    if expected is not None and sha256(data) != expected:
        raise Damaged(f"'{name}' is not the file that its turn was stored with")
    if name == turn.latent:
        maker.checked(turn, data)
        grid = latents.geometry_of(data)
        size = (grid.width, grid.height)
    elif name == turn.mask:
        mask = read_picture(data)
        fits = mask.width <= turn.width + PADDING and mask.height <= turn.height + PADDING
        fits = fits and drift.covers(mask.size, (turn.width, turn.height), turn.token_side)
        size = (turn.width, turn.height) if fits else mask.size
    elif name == turn.references_file:
        sheet = read_picture(data)
        size = (turn.width, turn.height) if is_sheet(sheet.size, (turn.width, turn.height)) else sheet.size
    else:
        size = read_picture(data).size
    if size != (turn.width, turn.height):
        raise Damaged(f"'{name}' is not of the size that its turn says")
