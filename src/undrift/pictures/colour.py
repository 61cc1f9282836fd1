"""Colours of any profile as sRGB. What a profile says counts, never its name.

A profile, or what a file gives in its place (``coding``), that leaves every colour within 1/255 of where it was is
sRGB, and changes no bit. A profile of grey is used for every picture that is grey all over where it can be seen,
however it is stored; a profile of RGB for grey pictures too. Profiles that are broken, or of another kind of colour
than the picture, are ignored, as browsers do. The conversion is lcms's, of 8 bits, with the perceptual intent.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

from undrift.pictures.coding import Coding

SAME = 1
"""Largest difference, of 255, that counts as none."""

_STEPS = 17
_BROKEN = (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError)


def to_srgb(image: Image.Image, coding: Coding | None = None) -> Image.Image:
    """``image``, of mode L, LA, RGB, RGBA, CMYK or LAB, as L, LA, RGB or RGBA in sRGB.

    By its ``icc_profile``, or by ``coding``, which counts in its place and is of L and RGB alone.
    """
    profile, alpha = image.info.get("icc_profile"), image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours = image.convert(image.mode[:-1]) if alpha is not None else image
    if alpha is not None:  # what nobody sees is no colour of the picture
        colours.paste(0, mask=alpha.point([255] + [0] * 255))
    converted = (_by_profile(colours, profile) if coding is None else _coded(colours, coding)) or _plain(colours)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _coded(colours: Image.Image, coding: Coding) -> Image.Image | None:
    """``colours`` by ``coding``; None if they are in sRGB."""
    return None if _is_srgb(coding.to_srgb, colours.mode) else coding.to_srgb(colours)


def _by_profile(colours: Image.Image, profile: bytes | None) -> Image.Image | None:
    """``colours`` by ``profile``; None if it says nothing about them."""
    if not profile or colours.mode == "LAB":
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        fitting = _fitting(colours, source.profile.xcolor_space.strip())
        if fitting is None:
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), fitting.mode, "RGB")
        if fitting.mode != "CMYK" and _is_srgb(transform.apply, fitting.mode):
            return None
        return transform.apply(fitting)
    except _BROKEN:
        return None


def _fitting(colours: Image.Image, space: str) -> Image.Image | None:
    """``colours`` in the kind of colour that a profile is about; None if they are of another kind."""
    if space == "GRAY":
        return colours if colours.mode == "L" else _as_grey(colours)
    if space == "RGB":
        return colours.convert("RGB") if colours.mode in ("L", "RGB") else None
    return colours if space == colours.mode == "CMYK" else None


def _as_grey(colours: Image.Image) -> Image.Image | None:
    """The one channel of a picture whose channels are equal."""
    if colours.mode != "RGB":
        return None
    red, *others = colours.split()
    first = red.tobytes()
    return red if all(channel.tobytes() == first for channel in others) else None


def _is_srgb(convert: Callable[[Image.Image], Image.Image], mode: str) -> bool:
    """Whether ``convert`` leaves a grid over all colours as it is."""
    steps = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(1, -1, 3)
    if mode == "L":
        grid = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=-1)
    before = Image.fromarray(grid).convert(mode)
    after = np.asarray(convert(before).convert("RGB"), dtype=int)
    return bool(np.abs(after - grid).max() <= SAME)


def _plain(colours: Image.Image) -> Image.Image:
    """Colours without a profile; Lab needs none."""
    if colours.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        transform = ImageCms.buildTransform(lab, ImageCms.createProfile("sRGB"), "LAB", "RGB")
        return transform.apply(colours)
    return colours.convert("RGB") if colours.mode == "CMYK" else colours.copy()
