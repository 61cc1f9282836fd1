"""What a scene shows and where, as targets for a network's middle: part ids of every cell and labels of the scene.

Scenes are data, so these targets are free and exact. Heads that predict them, from noised latents (the autoencoder's)
or from the image stream of a middle block (the flow's), are dropped after training; compare Yu et al.,
"Representation Alignment for Generation", 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.nn import functional

from undrift.littleworld import scenes
from undrift.littleworld.drawing import Pen
from undrift.littleworld.extras import draw_companion, draw_wearable
from undrift.littleworld.poses import LIFT, draw_subject, head_of

CELLS = 32
"""Cells of 4 x 4 pixels per side; 2 x 2 of them make a latent pixel, 4 x 4 an image token."""
LABELS = (*(len(values) for values in scenes.ATTRIBUTES.values()), len(scenes.RICH_PLACEMENTS))
"""Number of values of every label of a scene, in the order of `labels`."""

_ZOOM = 2
_BLACK = (0, 0, 0)


class _Ids:
    """Stands in for Pillow's canvas: the n-th shape of a kind of thing is filled with the id of that part."""

    known: dict[tuple[str, int], int]

    def __init__(self, image: Image.Image, known: dict[tuple[str, int], int]) -> None:
        self._draw = ImageDraw.Draw(image)
        self.known = known
        self._kind, self._count = "", 0

    def begin(self, kind: str) -> None:
        self._kind, self._count = kind, 0

    def _next(self) -> int:
        self._count += 1
        return self.known.setdefault((self._kind, self._count), len(self.known) + 1)

    def polygon(self, points: Sequence[Any], fill: Any) -> None:
        self._draw.polygon(points, fill=self._next())

    def ellipse(self, box: Any, fill: Any) -> None:
        self._draw.ellipse(box, fill=self._next())

    def pieslice(self, box: Any, start: float, end: float, fill: Any) -> None:
        self._draw.pieslice(box, start, end, fill=self._next())

    def rounded_rectangle(self, box: Any, radius: float, fill: Any) -> None:
        left, top, right, bottom = box
        self._draw.rectangle((left, top, max(left, right), max(top, bottom)), fill=self._next())

    def line(self, points: Sequence[Any], fill: Any, width: int, joint: str) -> None:
        self._draw.line(points, fill=self._next(), width=max(1, width))


_PARTS: dict[tuple[str, int], int] = {}


def part_map(scene: scenes.Scene) -> NDArray[np.uint8]:
    """The part in the middle of every cell, (32, 32); 0 is the background.

    A limb has the same id in every pose; a pattern or a style changes nothing.
    """
    image = Image.new("L", (CELLS * _ZOOM, CELLS * _ZOOM))
    ids = _Ids(image, _PARTS)
    pen, place = Pen(ids, 0, 0, CELLS * _ZOOM / 128), scene.placement  # type: ignore[arg-type]
    if scene.companion is not None:
        ids.begin(scene.companion.kind)
        draw_companion(pen.at(place.companion_x, place.companion_y), scene.companion.kind, _BLACK)
    height = place.y - LIFT.get(scene.pose, 0)
    posed = replace(pen.at(place.x, height, place.scale), flip=1 if place.facing == "left" else -1)
    ids.begin(scene.subject.kind)
    draw_subject(posed, scene.subject.kind, _BLACK, scene.pose)
    if scene.wearable is not None:
        ids.begin(scene.wearable.kind)
        draw_wearable(posed, head_of(scene.subject.kind, scene.pose), scene.wearable.kind, _BLACK)
    return np.asarray(image)[1::_ZOOM, 1::_ZOOM]


def token_parts(scene: scenes.Scene) -> NDArray[np.uint8]:
    """Four part ids (one per 8 x 8 pixels) of each of the 64 image tokens, (64, 4)."""
    quarter = part_map(scene)[1::2, 1::2]
    return quarter.reshape(8, 2, 8, 2).transpose(0, 2, 1, 3).reshape(64, 4)


def labels(scene: scenes.Scene) -> list[int]:
    """Everything that the scene was made of as indices: its attributes, then its placement."""
    named = scene.attributes()
    found = [values.index(named[name]) for name, values in scenes.ATTRIBUTES.items()]
    return [*found, scenes.RICH_PLACEMENTS.index(scene.placement)]


def _number_parts() -> int:
    """Give every part its id in a fixed order; the number of ids."""
    place = scenes.PLACEMENTS[-1]
    red = {kind: scenes.Thing(kind, "red") for kind in (*scenes.SUBJECTS, *scenes.WEARABLES, *scenes.COMPANIONS)}
    for kind in scenes.SUBJECTS:
        part_map(scenes.Scene("snow", red[kind], None, None, place))
    for kind in scenes.WEARABLES:
        part_map(scenes.Scene("snow", red["cat"], red[kind], None, place))
    for kind in scenes.COMPANIONS:
        part_map(scenes.Scene("snow", red["car"], None, red[kind], place))
    for kind, pose in product(scenes.WEARERS, scenes.POSES):
        part_map(scenes.Scene("snow", red[kind], None, None, place, pose=pose))
    return len(_PARTS) + 1


PARTS = _number_parts()


class LatentHead(nn.Module):
    """Predicts the part of every cell from latents.

    Args:
        channels: Of the latents.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, 64, 3, padding=1), nn.SiLU(), nn.Conv2d(64, 4 * PARTS, 1))

    def forward(self, latents: Tensor, parts: Tensor) -> Tensor:
        """Mean cross entropy of latents (batch, channels, 16, 16) against parts (batch, 32, 32)."""
        logits = functional.pixel_shuffle(self.body(latents), 2)
        return functional.cross_entropy(logits, parts)


class FlowHead(nn.Module):
    """Predicts parts per token and labels per picture from the image stream of one block.

    Args:
        width: Of the transformer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU())
        self.parts = nn.Linear(2 * width, 4 * PARTS)
        self.labels = nn.Linear(2 * width, sum(LABELS))

    def forward(self, hidden: Tensor, parts: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy of the parts plus that of the labels.

        Args:
            hidden: (batch, 64, width).
            parts: (batch, 64, 4).
            labels: (batch, len(LABELS)).
        """
        features = self.body(hidden)
        local = functional.cross_entropy(self.parts(features).view(-1, PARTS), parts.reshape(-1).long())
        guesses = self.labels(features.mean(1)).split(list(LABELS), dim=1)
        whole = [functional.cross_entropy(guess, labels[:, i].long()) for i, guess in enumerate(guesses)]
        return local + torch.stack(whole).mean()
