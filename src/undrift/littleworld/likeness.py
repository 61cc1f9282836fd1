"""Whether a picture is of the drawn world, so that users learn early when the embedded model is wrong."""

from __future__ import annotations

import numpy as np
from PIL import Image

from undrift.littleworld.render import SIZE

FLAT_SHARE = 0.75
FLAT_UP_TO = 8


def looks_drawn(image: Image.Image) -> bool:
    """True if a picture is mostly flat colour, as drawings are and photos are not.

    Measured at the world's own size: the share of neighbouring pixels whose channels differ by at most
    `FLAT_UP_TO` of 255 must reach `FLAT_SHARE`.
    """
    pixels = np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX), dtype=np.int16)
    steps = np.abs(np.diff(pixels, axis=1)).max(axis=-1)
    return float((steps <= FLAT_UP_TO).mean()) >= FLAT_SHARE
