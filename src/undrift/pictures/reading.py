"""A picture as the rest of undrift takes it."""

from __future__ import annotations

from PIL import Image, ImageOps

from undrift.pictures.coding import coding_of
from undrift.pictures.colour import to_srgb
from undrift.pictures.depth import eight_bits
from undrift.pictures.limits import MAX_MEGAPIXELS
from undrift.pictures.opening import Check, Opened, Source, opened_picture


def read_picture(
    source: Source, *, max_megapixels: float = MAX_MEGAPIXELS, check: Check | None = None, called: str = ""
) -> Image.Image:
    """The still picture in a file, or in the bytes of one, as RGB without metadata.

    Args:
        source: a path, or a file's contents (an upload).
        max_megapixels: refuse pictures with more pixels than this many millions.
        check: called now and then while the file is decoded; what it raises ends that.
        called: the name of the file that contents are of, for messages.

    Raises:
        PictureError: missing, a folder, empty, not a picture, animated, damaged, too large, too much work, of high
            dynamic range, or without colours (floating-point data); one line says which.
    """
    with opened_picture(source, max_megapixels, check, called) as opened:
        coding = coding_of(opened)
        image = to_srgb(upright(eight_bits(opened), opened), coding)
        if image.mode in ("LA", "RGBA"):
            image = _on_white(image)
        # A picture of the pixels alone: positions, thumbnails and names in the metadata must not travel on.
        made = image.convert("RGB")
        made.info = {}
        return made


def upright(image: Image.Image, opened: Opened) -> Image.Image:
    """``image``, decoded from ``opened``, turned as its EXIF orientation says; damaged EXIF data says nothing."""
    if opened.image.format == "TIFF":  # Pillow has turned it
        return image
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # whatever a stranger's EXIF data makes its parser raise
        return image
    return image


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, "white")
    white.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return white
