"""Moving scenes whose right answers are known: one edit of all frames, in which something goes to and fro."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from PIL import Image

from undrift.errors import InputError
from undrift.littleworld.captions import caption
from undrift.littleworld.render import SIZE, render
from undrift.littleworld.scenes import Scene
from undrift.littleworld.sequences import sample_sequence

STEP = 4
"""Pixels of a 128 x 128 picture by which the mover goes from frame to frame."""

FURTHEST = 3
"""Steps after which it turns back."""

MOVERS = ("companion", "subject")

_ATTEMPTS = 10_000


@dataclass(frozen=True)
class Clip:
    """The scenes of a clip before and after its edit, frame by frame.

    Attributes:
        before: what the frames show; neighbours differ in where the mover stands.
        after: what they are to show; each differs from its frame in the edit alone.
    """

    before: tuple[Scene, ...]
    after: tuple[Scene, ...]

    def __post_init__(self) -> None:
        if not self.before or len(self.before) != len(self.after):
            raise InputError(
                f"a clip has {len(self.before)} frames and {len(self.after)} right ones, expected as many, at least 1"
            )

    @property
    def captions(self) -> tuple[str, str]:
        """What all frames show before and after the edit; no caption tells where things stand."""
        return caption(self.before[0]), caption(self.after[0])

    def frames(self, size: int = SIZE) -> list[Image.Image]:
        """The pictures before the edit, (size, size) RGB each."""
        return [render(scene, size) for scene in self.before]

    def truths(self, size: int = SIZE) -> list[Image.Image]:
        """The right pictures after the edit."""
        return [render(scene, size) for scene in self.after]


def sample_clip(rng: random.Random, frames: int = 8, mover: str = MOVERS[0]) -> Clip:
    """A random clip; the same generator state gives the same one.

    The ``mover`` of a random scene takes ``STEP`` pixels a frame away from where training has it and back again, so
    that frames return. A companion that moves is not what is edited; a subject that moves may be.

    Raises:
        InputError: fewer than one frame, or another mover.
    """
    if frames < 1 or mover not in MOVERS:
        raise InputError(f"a clip of {frames} frames with mover '{mover}': expected 1 or more, and {MOVERS}")
    for _ in range(_ATTEMPTS):
        before, after = sample_sequence(rng, 1).scenes
        if mover == "subject" or (before.companion is not None and before.companion == after.companion):
            ways = list(_ways(frames))
            return Clip(
                tuple(_moved(before, mover, way) for way in ways), tuple(_moved(after, mover, way) for way in ways)
            )
    raise AssertionError("a scene in two has a companion, and most edits leave it")


def _ways(frames: int) -> Iterator[int]:
    """0, 1, 2, 3, 2, 1, 0, 1, ... times ``STEP``."""
    for number in range(frames):
        there = number % (2 * FURTHEST)
        yield STEP * min(there, 2 * FURTHEST - there)


def _moved(scene: Scene, mover: str, way: int) -> Scene:
    """``scene`` with its mover ``way`` pixels nearer to the middle."""
    place = scene.placement
    if mover == "companion":
        towards = way if place.companion_x < SIZE // 2 else -way
        return replace(scene, placement=replace(place, companion_x=place.companion_x + towards))
    towards = way if place.x < SIZE // 2 else -way
    return replace(scene, placement=replace(place, x=place.x + towards))
