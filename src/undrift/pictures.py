"""Pictures in and out: any still picture becomes 8-bit sRGB, and every PNG written says how it was made.

What reading does, in this order: turn it as its EXIF orientation says; bring 16 bits per channel to 8
(v / 257, rounded); convert an embedded ICC profile to sRGB; put transparent pictures on white. It never resizes.
"""

from __future__ import annotations

import io
import json
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from undrift.errors import PictureError
from undrift.files import reason
from undrift.outputs import PICTURE_ENDINGS, check_ending, write_output

MAX_MEGAPIXELS = 64.0
"""Larger pictures are refused from their header, before anything is decoded."""

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM", "JPEG2000")
"""What is read. A fixed list, because some of Pillow's other readers start programs (EPS runs Ghostscript)."""

METADATA_KEY = "undrift"
XMP_KEY = "XML:com.adobe.xmp"

_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
_EDITED_BY_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


def read_picture(source: str | Path | bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Image.Image:
    """The still picture in a file, or in the bytes of one, as RGB without metadata.

    Args:
        source: a path, or a file's contents (an upload).
        max_megapixels: refuse pictures with more pixels than this many millions.

    Raises:
        PictureError: missing, a folder, empty, not a picture, animated, damaged, too large, or without colours
            (floating-point data); one line says which.
    """
    name = _name(source)
    with _opened(source, name) as opened:
        _check_header(opened, name, max_megapixels)
        try:
            opened.load()
            return _rgb(_upright(opened), name)
        except MemoryError:
            size = f"{opened.width}x{opened.height} pixels"
            raise PictureError(f"not enough memory to decode {name} ({size})") from None
        except _DAMAGE as error:
            raise PictureError(_unreadable(name, error)) from error


def read_mask(source: str | Path | bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Image.Image:
    """The mask painted in a file, or in the bytes of one, as L; see ``as_mask``.

    Raises:
        PictureError: as for ``read_picture``.
    """
    name = _name(source)
    with _opened(source, name) as opened:
        _check_header(opened, name, max_megapixels)
        try:
            opened.load()
            return as_mask(_eight_bit(_upright(opened), name))
        except _DAMAGE as error:
            raise PictureError(_unreadable(name, error)) from error


def as_mask(image: Image.Image) -> Image.Image:
    """A painted picture as L: its opacity if anything in it is transparent, else its brightness."""
    if image.has_transparency_data:
        opacity = image.convert("RGBA").getchannel("A")
        if opacity.getextrema() != (255, 255):
            return opacity
    return image.convert("L")


def png_bytes(image: Image.Image, metadata: Mapping[str, Any] | None = None) -> bytes:
    """A PNG file. The same picture and metadata give the same bytes.

    Args:
        image: RGB or L.
        metadata: JSON values. Stored as iTXt ``undrift``, and, if it has a ``prompt``, as an XMP packet that other
            programs show: description, creator tool, and IPTC's "edited with a trained model".
    """
    info = PngImagePlugin.PngInfo()
    if metadata is not None:
        info.add_itxt(METADATA_KEY, json.dumps(metadata, ensure_ascii=False, sort_keys=True))
        info.add_itxt(XMP_KEY, _xmp(str(metadata.get("prompt", "")), str(metadata.get("software", METADATA_KEY))))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def write_png(image: Image.Image, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
    """Write ``png_bytes`` to ``path``, completely or not at all.

    Raises:
        InputError: ``path`` ends in something else than .png.
        SessionError: the file cannot be written.
    """
    check_ending(path, PICTURE_ENDINGS)
    write_output(path, png_bytes(image, metadata))


def read_metadata(source: str | Path | bytes) -> dict[str, Any]:
    """What ``png_bytes`` recorded in a picture.

    Raises:
        PictureError: not a readable picture, or not one of undrift's, or its metadata was stripped or damaged.
    """
    name = _name(source)
    with _opened(source, name) as opened:
        text = opened.info.get(METADATA_KEY)
    if not isinstance(text, str):
        raise PictureError(f"{name} carries no undrift metadata: not made by undrift, or another program removed it")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise PictureError(f"the undrift metadata in {name} is damaged")
    return value


def _name(source: str | Path | bytes) -> str:
    return "the picture" if isinstance(source, bytes) else f"'{source}'"


@contextmanager
def _opened(source: str | Path | bytes, name: str) -> Iterator[Image.Image]:
    file = io.BytesIO(source) if isinstance(source, bytes) else _existing(Path(source), name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.init()
            opened = Image.open(file, formats=[f for f in FORMATS if f in Image.OPEN])
    except Image.DecompressionBombError:
        raise PictureError(f"{name} has too many pixels, at most {MAX_MEGAPIXELS:g} megapixels are read") from None
    except UnidentifiedImageError:
        raise PictureError(_unknown(source, name)) from None
    except _DAMAGE as error:
        raise PictureError(_unreadable(name, error)) from error
    with opened:
        yield opened


def _existing(path: Path, name: str) -> Path:
    try:
        if path.is_dir():
            raise PictureError(f"{name} is a folder, expected a picture file")
        if not path.is_file():
            raise PictureError(f"no picture at {name}")
    except (OSError, ValueError) as error:
        raise PictureError(_unreadable(name, error)) from None
    return path


def _unknown(source: str | Path | bytes, name: str) -> str:
    size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
    if size == 0:
        return f"{name} is empty (0 bytes), expected a picture"
    return f"{name} is not a picture that can be read, expected one of {', '.join(FORMATS)}"


def _unreadable(name: str, error: Exception) -> str:
    """The operating system's reason if it has one; everything else means that the contents are broken."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot read {name}: {reason(error)}"
    return f"{name} is damaged or cut off: {error}"


def _check_header(opened: Image.Image, name: str, max_megapixels: float) -> None:
    if opened.width * opened.height > max_megapixels * 1e6:
        raise PictureError(
            f"{name} has {opened.width}x{opened.height} pixels, at most {max_megapixels:g} megapixels are read: "
            "make it smaller first"
        )
    try:
        frames = getattr(opened, "n_frames", 1)
    except _DAMAGE as error:
        raise PictureError(_unreadable(name, error)) from error
    # A multi-picture JPEG (MPO: depth or HDR maps of phones) shows its first picture everywhere.
    if frames > 1 and opened.format != "MPO":
        raise PictureError(f"{name} has {frames} frames, expected a still picture: save one frame and use that")


def _upright(image: Image.Image) -> Image.Image:
    """``image`` turned as its EXIF orientation says; damaged EXIF data says nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGE:
        return image


def _rgb(image: Image.Image, name: str) -> Image.Image:
    profile = image.info.get("icc_profile")
    image = _eight_bit(image, name)
    if image.mode in ("P", "PA", "LA", "La", "RGBa") or image.has_transparency_data:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if profile:
        image = _srgb(image, profile)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    # A copy of the pixels alone: positions, thumbnails and names in the metadata must not travel on.
    return Image.fromarray(np.asarray(image.convert("RGB")))


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise PictureError(f"{name} holds measurements, not colours (mode {image.mode}): save it with 8 or 16 bits")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Colours of ``profile`` converted to sRGB; a broken or foreign profile is ignored, as viewers do."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image
        target = ImageCms.createProfile("sRGB")
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(image, source, target, outputMode=mode) or image
    except (ImageCms.PyCMSError, *_DAMAGE):
        return image


def _xmp(description: str, software: str) -> str:
    """An XMP packet (ISO 16684-1) with what other programs understand."""
    text, tool = (escape(re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", " ", s)) for s in (description, software))
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:ext="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:description>'
        f"<xmp:CreatorTool>{tool}</xmp:CreatorTool>"
        f"<ext:DigitalSourceType>{_EDITED_BY_MODEL}</ext:DigitalSourceType>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
