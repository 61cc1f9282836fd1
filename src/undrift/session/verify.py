"""Whether a turn's file is what its turn says: the one place for files in a session's folder and in archives.

A record and its files may come from anybody, and may have been put together from several sessions. So a file is only
ever used after its hash, its kind and its size were held against the record.
"""

from __future__ import annotations

from PIL import Image

from undrift.errors import PictureError, SessionError
from undrift.files import sha256
from undrift.pictures import read_picture
from undrift.session import drift, latents
from undrift.session.inside import MAX_FILE
from undrift.session.latents import PADDING, Maker
from undrift.session.model import Turn
from undrift.session.reading import Damaged
from undrift.session.references import is_sheet

BEGINNING = 24
"""Bytes of a PNG file up to its size."""

_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
_PER_PIXEL = 32
_BESIDES = 4 * 1024**2


def most_bytes(turn: Turn) -> int:
    """What a file of ``turn`` may take; pictures and latents of all models stay well below."""
    return min(_PER_PIXEL * turn.width * turn.height + _BESIDES, MAX_FILE)


def check(turn: Turn, name: str, data: bytes) -> None:
    """Check the file ``name`` of ``turn`` as a whole: its hash, its kind, its size, the model that made it.

    Raises:
        Damaged: it is not what the turn's record says.
    """
    if name == turn.latent:
        latent(turn, name, data)
    elif name == turn.mask:
        mask(turn, name, data)
    elif name == turn.references_file:
        references(turn, name, data)
    else:
        picture(turn, name, data)


def stored(turn: Turn, name: str, data: bytes) -> bytes:
    """``data``, if it is the file ``name`` that ``turn`` was stored with; a mask may have no hash to tell by.

    Raises:
        Damaged: it is another one.
    """
    expected = turn.hashes[name]
    if expected is not None and sha256(data) != expected:
        raise Damaged(f"'{name}' was changed since its turn was made: restore it from a copy")
    return data


def picture(turn: Turn, name: str, data: bytes) -> Image.Image:
    """The picture or the region of ``turn`` in a file; see ``check``."""
    found = _read(turn, name, data)
    _check_size(turn, name, found.size)
    return found


def mask(turn: Turn, name: str, data: bytes) -> Image.Image:
    """The mask of ``turn``, L, one pixel per token; see ``check``."""
    found, size = _read(turn, name, data).convert("L"), (turn.width, turn.height)
    small = found.width <= turn.width + PADDING and found.height <= turn.height + PADDING
    _check_size(turn, name, size if small and drift.covers(found.size, size, turn.token_side) else found.size)
    return found


def references(turn: Turn, name: str, data: bytes) -> Image.Image:
    """The sheet of the references of ``turn``; see ``check``."""
    found, size = _read(turn, name, data), (turn.width, turn.height)
    _check_size(turn, name, size if is_sheet(found.size, size) else found.size)
    return found


def latent(turn: Turn, name: str, data: bytes) -> bytes:
    """The latent of ``turn`` as it is stored; see ``check``."""
    stored(turn, name, data)
    made_by(turn, data)
    try:
        grid = latents.geometry_of(data)
    except SessionError as error:
        raise Damaged(str(error)) from None
    _check_size(turn, name, (grid.width, grid.height))
    return data


def made_by(turn: Turn, data: bytes | None) -> Maker | None:
    """The model that made ``turn``, whose latent file is ``data``; None where nothing says it.

    Raises:
        Damaged: the record names another model than the latent, or the latent is none.
    """
    loaded = turn.spec or turn.encoded_by
    recorded = None if loaded is None else Maker(loaded.model, loaded.weights_hash)
    try:
        encoded = None if data is None else latents.maker_of(data)
    except SessionError as error:
        raise Damaged(str(error)) from None
    if recorded is not None and encoded is not None and recorded != encoded:
        raise Damaged(
            f"turn {turn.id} was made by the model {recorded.name} ({recorded.weights_hash}) as its record says, "
            f"and by {encoded.name} ({encoded.weights_hash}) as its latent does"
        )
    return recorded or encoded


def beginning(turn: Turn, data: bytes) -> None:
    """Hold a record against the first ``BEGINNING`` bytes of its picture, which is what can be done for all turns.

    A picture that is missing or torn is not the record's fault: whoever reads it is told.

    Raises:
        Damaged: the picture has another size than the record says.
    """
    if data.startswith(_PNG) and len(data) >= BEGINNING:
        size = (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
        _check_size(turn, turn.image, size)


def _read(turn: Turn, name: str, data: bytes) -> Image.Image:
    try:
        return read_picture(stored(turn, name, data))
    except PictureError as error:
        raise Damaged(f"'{name}' is no picture that can be read: {error}") from None


def _check_size(turn: Turn, name: str, size: tuple[int, int]) -> None:
    if size != (turn.width, turn.height):
        raise Damaged(f"'{name}' is not of the size that its turn says")
