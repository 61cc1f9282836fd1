"""Colours of files with profiles, against what lcms (ImageCms) makes of the same pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support.icc import SRGB_CURVE, grey_profile, rgb_profile
from tests.support.picture_files import saved
from undrift.pictures import read_picture

RGB_PROFILES: dict[str, tuple[str, float | Sequence[float]]] = {
    "linear": ("sRGB", 1.0),
    "Display P3": ("Display P3", SRGB_CURVE),
    "Adobe RGB": ("Adobe RGB", 2.19921875),
    "ProPhoto": ("ProPhoto", 1.8),
}


def colours() -> Image.Image:
    """Every hue, dark and light."""
    y, x = np.mgrid[0:32, 0:32]
    return Image.fromarray(np.stack([x * 8, y * 8, (x + 2 * y) * 2 % 256], -1).astype(np.uint8))


def greys() -> Image.Image:
    return Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))


def by_lcms(image: Image.Image, profile: bytes) -> np.ndarray:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None
    return np.asarray(converted, dtype=int)


def off(read: Image.Image, wanted: np.ndarray) -> int:
    return int(np.abs(np.asarray(read, dtype=int) - wanted).max())


@pytest.mark.parametrize("name", ["Some camera", "sRGB IEC61966-2.1", "sRGB built-in"])
@pytest.mark.parametrize("kind", RGB_PROFILES)
@pytest.mark.parametrize("container", ["PNG", "TIFF", "WEBP"])
def test_colours_are_what_the_profile_says_whatever_it_is_called(kind: str, name: str, container: str) -> None:
    profile = rgb_profile(*RGB_PROFILES[kind], name)
    options = {"lossless": True} if container == "WEBP" else {}
    read = read_picture(saved(colours(), container, icc_profile=profile, **options))
    assert off(read, by_lcms(colours(), profile)) == 0
    assert off(read, np.asarray(colours(), dtype=int)) > 20


def test_a_linear_grey_of_a_half_is_188() -> None:
    """The sRGB curve of 0.502 is 0.737 (IEC 61966-2-1)."""
    profile = rgb_profile("sRGB", 1.0, "sRGB linear")
    read = read_picture(saved(Image.new("RGB", (4, 4), (128, 128, 128)), "PNG", icc_profile=profile))
    assert off(read, np.full((4, 4, 3), 188)) == 0


@pytest.mark.parametrize("name", ["sRGB", "Some camera"])
def test_srgb_by_any_name_changes_no_bit(name: str) -> None:
    profile = rgb_profile("sRGB", SRGB_CURVE, name)
    assert off(read_picture(saved(colours(), "PNG", icc_profile=profile)), np.asarray(colours(), dtype=int)) == 0


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_grey_profiles(gamma: float) -> None:
    profile = grey_profile(gamma, "sRGB grey")
    wanted = by_lcms(greys(), profile)
    opaque = Image.merge("LA", [greys(), Image.new("L", (16, 16), 255)])
    palette = Image.new("P", (16, 16))
    palette.putpalette([value for value in range(256) for _ in range(3)])
    palette.putdata(list(range(256)))
    for image in (greys(), opaque, palette, greys().convert("RGB")):
        assert off(read_picture(saved(image, "PNG", icc_profile=profile)), wanted) == 0, image.mode
    deep = Image.fromarray(np.asarray(greys(), dtype=np.uint16) * 257)
    assert off(read_picture(saved(deep, "PNG", icc_profile=profile)), wanted) == 0


def test_grey_pictures_with_a_profile_of_rgb() -> None:
    profile = rgb_profile("sRGB", 1.0, "linear")
    read = read_picture(saved(greys(), "PNG", icc_profile=profile))
    assert off(read, by_lcms(greys().convert("RGB"), profile)) == 0


def test_transparency_survives_the_profile() -> None:
    image = colours()
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    profile = rgb_profile("sRGB", 1.0, "linear")
    alpha = np.asarray(image.getchannel("A"), dtype=float)[..., None] / 255
    wanted = alpha * by_lcms(image.convert("RGB"), profile) + (1 - alpha) * 255
    assert off(read_picture(saved(image, "PNG", icc_profile=profile)), wanted.round().astype(int)) <= 1


def test_colours_that_nobody_sees_do_not_make_a_grey_picture_coloured() -> None:
    image, profile = greys().convert("RGBA"), grey_profile(1.0, "grey")
    image.putpixel((0, 0), (255, 0, 0, 0))
    wanted = by_lcms(greys(), profile)
    wanted[0, 0] = 255
    assert off(read_picture(saved(image, "PNG", icc_profile=profile)), wanted) == 0


@pytest.mark.parametrize("profile", [b"", b"broken", grey_profile(1.0, "grey"), rgb_profile("sRGB", 1.0, "x")[:200]])
def test_profiles_that_say_nothing_about_the_picture_are_ignored(profile: bytes) -> None:
    read = read_picture(saved(colours(), "TIFF", icc_profile=profile))
    assert off(read, np.asarray(colours(), dtype=int)) == 0


def test_lab() -> None:
    """L* = 54.29, a* = 80.81, b* = 69.89 is the red of sRGB under D50; bytes are coarser than that."""
    lab = Image.merge("LAB", [Image.new("L", (4, 4), value) for value in (138, 81 + 128, 70 + 128)])
    assert off(read_picture(saved(lab, "TIFF")), np.full((4, 4, 3), (255, 0, 0))) <= 6
