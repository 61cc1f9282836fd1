"""What tests of the images API send."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from tests.support.toy import toy_picture
from undrift.pictures import png_bytes

KEY = "a-key-of-some-length"
CAT = png_bytes(toy_picture(40, 32))


def decoded(data: Any) -> bytes:
    return base64.b64decode(data.b64_json)


def hole(box: tuple[int, int, int, int], size: tuple[int, int] = (40, 32)) -> bytes:
    """A mask that is transparent in ``box``."""
    mask = Image.new("RGBA", size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), box)
    file = io.BytesIO()
    mask.save(file, "PNG")
    return file.getvalue()
