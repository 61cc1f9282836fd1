"""Pictures that a page has brought in and not used yet: few, limited in bytes and pixels, and kept in memory only."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from undrift.files import sha256
from undrift.pictures import Check, NoMetadataError, png_bytes, read_metadata, read_picture
from undrift.session.provenance import recall
from undrift.studio.http_errors import Refused

MAX_BYTES = 32 * 2**20
MAX_MEGAPIXELS = 24.0
KEPT_BYTES = 6 * MAX_BYTES
"""Held of all uploads together, previews included; the newest is held whatever it needs."""
PREVIEW_SIDE = 1024
COMFORTABLE_MEGAPIXELS = 1.5
"""Up to here a picture is edited as it is without a word; attention's work grows with the square of the pixels."""
WORKING_SIDES = (1024, 2048)
"""Longer sides in pixels that larger pictures may be scaled to, where somebody chooses that."""


@dataclass(frozen=True)
class Upload:
    """A picture that could be read.

    Attributes:
        id: of its contents: the same file is the same upload.
        data: the file as it came; it is decoded again when it is used, so that little memory is held.
        preview: a PNG of at most ``PREVIEW_SIDE`` pixels a side, for looking at.
        recipe: undrift's metadata in it, None if it has none.
        prompt: what it shows, where that is known.
        called: the name that its file had; empty if nobody said it.
    """

    id: str
    data: bytes
    width: int
    height: int
    preview: bytes
    recipe: Mapping[str, Any] | None
    prompt: str
    called: str = ""

    @property
    def held(self) -> int:
        """Bytes that it needs in memory."""
        return len(self.data) + len(self.preview)

    @property
    def smaller(self) -> list[tuple[int, int]]:
        """Sizes (width, height) to offer for it, the one to recommend first; none if it is no large picture."""
        if self.width * self.height <= COMFORTABLE_MEGAPIXELS * 1e6:
            return []
        size = (self.width, self.height)
        return [scaled_size(size, side) for side in WORKING_SIDES if side < max(size)]

    def picture(self, check: Check | None = None) -> Image.Image:
        """The picture, RGB, in its own size; ``check`` is called meanwhile and may raise."""
        return read_picture(self.data, max_megapixels=MAX_MEGAPIXELS, check=check, called=self.called)


class Uploads:
    """The newest uploads, as many as ``KEPT_BYTES`` hold."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, data: bytes, prompt: str = "", check: Check | None = None, called: str = "") -> Upload:
        """Read a picture's file, ``called`` so where it came from; ``check`` is called meanwhile and may raise.

        Raises:
            PictureError: not a picture, or unsafe to decode, or undrift's metadata in it is damaged; nothing is kept.
        """
        picture = read_picture(data, max_megapixels=MAX_MEGAPIXELS, check=check, called=called)
        recipe = _recipe(data)
        width, height = picture.size
        picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
        shows = prompt or str((recipe or {}).get("prompt", ""))
        upload = Upload(sha256(data)[:24], data, width, height, png_bytes(picture), recipe, shows, called)
        with self._lock:
            self._kept[upload.id] = upload
            self._kept.move_to_end(upload.id)
            while len(self._kept) > 1 and sum(one.held for one in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)
        return upload

    def get(self, key: str) -> Upload:
        """The upload ``key``.

        Raises:
            Refused: not kept any more (404).
        """
        with self._lock:
            if key not in self._kept:
                raise Refused(404, "this picture is not held any more: drop it again")
            self._kept.move_to_end(key)
            return self._kept[key]


def scaled_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """``size`` (width, height) brought down to ``longest`` pixels on its longer side; a smaller one stays."""
    longer = max(size)
    if longest >= longer:
        return size
    width, height = (max(1, round(side * longest / longer)) for side in size)
    return width, height


def _recipe(data: bytes) -> Mapping[str, Any] | None:
    """The metadata that undrift wrote into a picture; None of any other picture.

    Raises:
        PictureError: it is there but not what undrift writes.
    """
    try:
        recall(data)
    except NoMetadataError:
        return None
    return read_metadata(data)
