"""The picture that is shown first everywhere, and its five edits: one of every kind, with known right answers.

The sequence is a typical one: drawn by a fixed seed, whatever a model makes of it. The background goes last, since
after a new background nothing is left of which a picture could show that it was kept.
"""

from __future__ import annotations

import random
from functools import cache

from PIL import Image

from undrift.littleworld.render import SIZE as SMALL
from undrift.littleworld.sequences import EditSequence, sample_sequence

SEED = 60_000_001
"""The first, of a range that neither training nor tuning nor the benchmark draws from, whose background goes last."""

TURNS = 5

SIZE = 2 * SMALL
"""Width and height of the picture: twice the benchmark's, so that maps and masks have 16 x 16 tokens."""


@cache
def sequence() -> EditSequence:
    """The scenes: the original, and the right one after every turn."""
    return sample_sequence(random.Random(SEED), TURNS)


def picture(size: int = SIZE) -> Image.Image:
    """The original picture, (size, size) RGB."""
    return sequence().picture(0, size)


def prompt() -> str:
    """What the original picture shows."""
    return sequence().captions[0]


def edits() -> tuple[str, ...]:
    """What it is to show after every turn."""
    return sequence().captions[1:]
