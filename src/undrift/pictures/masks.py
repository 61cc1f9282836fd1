"""What a mask means, whichever program painted it.

A mask selects a part of a picture by one of these, the first that fits:

1. its brightness, white is selected: nothing in it is transparent, or everything is in part and to the same degree;
   or what is not transparent is a black and white mask of its own;
2. what is transparent: a picture, or a sheet of one colour, with holes, as most tools for inpainting want it;
3. what is opaque: strokes painted on nothing, of which a sheet that is wholly transparent has none.

Then the values are made into a mask of 0 to 255. Of two values the darker one is black and the lighter one white; one
value other than black is white. Of more, what is nearly black or nearly white (JPEG) is black or white. A mask made
by this says so (``settled``), as does what ``mask_bytes`` wrote: its values are taken as they are from then on,
however they are combined.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from undrift.errors import PictureError
from undrift.pictures.depth import eight_bits, numbers
from undrift.pictures.limits import MAX_MEGAPIXELS
from undrift.pictures.opening import Opened, Source, opened_picture
from undrift.pictures.reading import upright
from undrift.pictures.writing import METADATA_KEY, png_bytes

NEARLY = 8
"""Values within this of black or white are black or white."""

HALF = 128
PAINT_COLOURS = 32
"""Paint has at most this many colours of 4 bits a channel; a drawing of LittleWorld has 60 to 130, a photo more."""

STRAY = 0.01
"""Less than this part of a grey picture being transparent is a stray pixel, not a hole."""

CLEARLY = 0.9
FRAME = 0.75
"""If more than this part of the border is opaque, paint is a sheet with holes."""

_KEPT = '{"mask": "values"}'

Values = NDArray[Any]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Mask:
    """A mask and how it was read.

    Attributes:
        image: L, 255 where it selects; ``settled``.
        how: what selects in it, in words.
    """

    image: Image.Image
    how: str

    @property
    def share(self) -> float:
        """Part of the picture that it selects, 0 to 1; grey counts in part."""
        counts = self.image.histogram()
        return sum(value * count for value, count in enumerate(counts)) / (255 * max(1, sum(counts)))

    @property
    def says(self) -> str:
        """One line for whoever painted it."""
        return f"selects {100 * self.share:.3g}% of the picture: {self.how}"


def open_mask(source: Source, *, max_megapixels: float = MAX_MEGAPIXELS) -> Mask:
    """The mask in a file, or in the bytes of one.

    Raises:
        PictureError: as for ``read_picture``, or it has many values, none of which selects by half.
    """
    with opened_picture(source, max_megapixels) as opened:
        if _is_settled(opened.image):
            return mask_of(opened.image)
        if opened.image.mode.startswith(("I", "F")):
            return _of_values(_numbers(opened), "its bright parts")
        return mask_of(upright(eight_bits(opened), opened))


def open_holes(source: Source, *, max_megapixels: float = MAX_MEGAPIXELS) -> Mask:
    """The mask that selects what is transparent in a picture's file, whatever else it shows.

    Raises:
        PictureError: as for ``read_picture``, or nothing in it is transparent.
    """
    with opened_picture(source, max_megapixels, called="mask") as opened:
        painted = upright(eight_bits(opened), opened)
        holes = 255 - _opacity(painted.convert("RGBA"))
        if not holes.any():
            raise PictureError("the mask has nothing transparent: expected a PNG that is transparent where to edit")
        return _of_values(holes, "its transparent parts")


def settled(values: Image.Image) -> Image.Image:
    """A mask of exactly the ``values`` (L): nothing asks again what they may mean."""
    mask = values.copy()
    mask.info = {METADATA_KEY: _KEPT}
    return mask


def mask_bytes(mask: Image.Image) -> bytes:
    """A PNG file from which ``open_mask`` reads exactly ``mask`` (L), whatever values it has."""
    return png_bytes(mask, json.loads(_KEPT))


def read_mask(source: Source, *, max_megapixels: float = MAX_MEGAPIXELS) -> Image.Image:
    """The image of ``open_mask``."""
    return open_mask(source, max_megapixels=max_megapixels).image


def as_mask(image: Image.Image) -> Image.Image:
    """The image of ``mask_of``."""
    return mask_of(image).image


def mask_of(image: Image.Image) -> Mask:
    """The mask that ``image``, of any mode, was painted as.

    Raises:
        PictureError: it has many values, none of which selects by half.
    """
    if _is_settled(image):
        return Mask(settled(image), "its values")
    if not image.has_transparency_data:
        return _of_values(np.asarray(image.convert("L")), "its bright parts")
    painted = image.convert("RGBA")
    alpha = _opacity(painted)
    if not alpha.any():
        return Mask(settled(_image(alpha > 0)), "its opaque parts, of which there are none")
    if alpha.min() == alpha.max() or _is_black_and_white(painted, alpha):
        grey = np.asarray(painted.convert("L"))
        return _of_values(np.where(alpha > 0, grey, 0), "its bright parts")
    if _has_holes(painted, alpha):
        return _of_values(255 - alpha, "its transparent parts")
    return _of_values(alpha, "its opaque parts")


def _opacity(painted: Image.Image) -> Bytes:
    """Of an RGBA picture. What is all but opaque is: lossy compression and blending leave 254, and mean nothing."""
    alpha = np.asarray(painted.getchannel("A"))
    return np.where(alpha >= 255 - NEARLY, 255, alpha).astype(np.uint8)


def _is_settled(image: Image.Image) -> bool:
    return image.mode == "L" and image.info.get(METADATA_KEY) == _KEPT


def _numbers(opened: Opened) -> Values:
    """The values of a mask of more than 8 bits: some programs store 0 and 1 in 16 or 32 of them."""
    image = opened.image
    image.load()
    values = numbers(image)
    assert values is not None  # its mode says so
    if not np.isfinite(values).all():
        raise PictureError(f"{opened.name} holds values that are no numbers, expected a mask")
    if len(np.unique(values)) <= 2:
        return values
    if image.mode == "F":
        if values.min() < 0 or values.max() > 1:
            raise PictureError(f"{opened.name} holds fractions outside of 0 to 1, expected a mask of 8 or 16 bits")
        return (values.astype(np.float64) * 255).round()
    return np.asarray(eight_bits(Opened(opened.again(), opened.name, opened.again)))


def _of_values(values: Values, how: str) -> Mask:
    present = np.unique(values)
    if len(present) <= 2:
        stretched = values == present[-1] if present[-1] > 0 else np.zeros(values.shape, bool)
        plain = len(present) < 2 or set(present.tolist()) <= {0, 255}
        return Mask(settled(_image(stretched)), how if plain else f"{how}, of its two values")
    values = np.where(values <= NEARLY, 0, np.where(values >= 255 - NEARLY, 255, values))
    if values.max() < HALF:
        raise PictureError(
            f"the mask has {len(present)} values up to {present[-1]:g} of 255, expected white (255) where it selects"
        )
    if len(np.unique(values)) <= 2:
        return _of_values(values, how)
    return Mask(settled(Image.fromarray(values.astype(np.uint8))), how)


def _image(selected: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(np.where(selected, 255, 0).astype(np.uint8))


def _is_black_and_white(painted: Image.Image, alpha: Bytes) -> bool:
    """Whether what is opaque is grey and shows a mask: black and white beside each other."""
    colours = np.asarray(painted.convert("RGB"))[alpha >= HALF].astype(int)
    if not len(colours) or np.ptp(colours, axis=-1).max() > NEARLY:
        return False
    grey = colours[:, 0]
    black, white = (grey <= NEARLY).mean(), (grey >= 255 - NEARLY).mean()
    stray = (alpha < HALF).mean() < STRAY
    return bool(black > 0 and white > 0 and (stray or black + white >= CLEARLY))


def _has_holes(painted: Image.Image, alpha: Bytes) -> bool:
    """Whether what is opaque is a picture or a sheet that is there but for holes, not paint on nothing."""
    opaque = alpha >= 255 - NEARLY
    colours = np.asarray(painted.convert("RGB"))[opaque] // 16
    if not len(colours):
        return False
    if len(np.unique(colours.astype(np.uint16) @ np.array([256, 16, 1], np.uint16))) > PAINT_COLOURS:
        return True
    border = np.concatenate([opaque[0], opaque[-1], opaque[1:-1, 0], opaque[1:-1, -1]])
    return bool(border.mean() > FRAME)
