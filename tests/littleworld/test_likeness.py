"""Drawn pictures are told from photos, and the bundled demonstration is what it says it is."""

from __future__ import annotations

import random
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from undrift.littleworld import demo
from undrift.littleworld.likeness import looks_drawn
from undrift.littleworld.render import render
from undrift.littleworld.scenes import sample_scene
from undrift.littleworld.sequences import sample_sequence


def photo_like(seed: int, exponent: float = 1.0, side: int = 256) -> Image.Image:
    """Noise with the amplitude spectrum 1 / f that natural images have, at a photo's contrast."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
    frequency[0, 0] = 1.0
    spectrum = np.fft.fft2(rng.standard_normal((3, side, side))) / frequency**exponent
    waves = np.fft.ifft2(spectrum).real
    scaled = (waves - waves.mean()) / waves.std() * 55 + 128
    return Image.fromarray(scaled.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


@pytest.mark.parametrize("seed", range(8))
def test_scenes_look_drawn_even_after_jpeg(seed: int) -> None:
    picture = render(sample_scene(random.Random(seed)))
    file = BytesIO()
    picture.save(file, "JPEG", quality=85)
    assert looks_drawn(picture)
    assert looks_drawn(Image.open(file))


@pytest.mark.parametrize("seed", range(4))
def test_photos_do_not_look_drawn(seed: int) -> None:
    assert not looks_drawn(photo_like(seed))


def test_demonstration_shows_every_kind_of_edit_once() -> None:
    edits = demo.sequence().edits
    assert sorted(edit.type for edit in edits) == ["add", "background", "colour", "delete", "object"]
    assert demo.prompt() == edits[0].source_prompt
    assert demo.edits() == tuple(edit.target_prompt for edit in edits)


def test_demonstration_is_drawn_by_its_seed_alone() -> None:
    """Whoever changes what a seed draws changes what everybody sees first: this says so."""
    assert demo.prompt() == "an orange robot next to an orange flower on a beach"
    assert demo.sequence() == sample_sequence(random.Random(demo.SEED), 5)


def test_demonstration_picture_is_its_scene_at_twice_the_size() -> None:
    assert demo.picture().size == (256, 256)
    small = np.asarray(demo.picture(128), dtype=float)
    halved = np.asarray(demo.picture().reduce(2), dtype=float)
    # Edges are drawn between other pixels: a little of the picture differs, nothing by its place.
    assert (np.abs(small - halved).max(-1) > 64).mean() < 0.01
