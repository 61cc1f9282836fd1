"""A sampled picture against the drawn one that it comes nearest to: how sharp it is, what is doubled or missing.

A caption does not say where things stand, so a sample is compared with all `PLACEMENTS` of its caption's scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from undrift.littleworld.render import render
from undrift.littleworld.scenes import PLACEMENTS, Scene

MARGIN = 9
"""Side in pixels of the square by which things are widened: a slightly displaced edge is not a second thing."""
VISIBLE = 0.12
"""Largest channel difference from the background, of the range of 2, at which a pixel shows a thing."""
BLOB = 7
"""Side of the smallest square that counts as a thing of its own."""
SHOWN = 0.5
"""Share of a thing's pixels that must differ from the background for it to be there."""


@dataclass(frozen=True)
class Nearness:
    """How near samples come to drawn pictures.

    Attributes:
        things: mean PSNR in dB over the pixels of things and a margin.
        edges: edge energy there over that of the drawn pictures, 1 is right.
        doubled: share of pictures that show a thing where there is none.
        missing: share of pictures in which a thing is missing.
        faulty: share of pictures with either fault.
    """

    things: float
    edges: float
    doubled: float
    missing: float
    faulty: float


def nearness(pictures: Tensor, scenes: Sequence[Scene]) -> Nearness:
    """Measure samples, (N, 3, 128, 128) in [-1, 1], of the captions of the scenes."""
    rows = [_one(picture, scene) for picture, scene in zip(pictures, scenes, strict=True)]
    decibels, shown, drawn, doubled, missing = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    return Nearness(
        things=float(decibels.mean()),
        edges=float(shown.sum() / drawn.sum()),
        doubled=float(doubled.mean()),
        missing=float(missing.mean()),
        faulty=float(np.maximum(doubled, missing).mean()),
    )


def nearest(picture: Tensor, scene: Scene) -> Scene:
    """The placement of the scene whose picture differs least (mean squared error)."""
    candidates = [replace(scene, placement=placement) for placement in PLACEMENTS]
    return min(candidates, key=lambda each: float((drawn(each) - picture).square().mean()))


def drawn(scene: Scene) -> Tensor:
    """The picture of a scene, (3, 128, 128) in [-1, 1]."""
    return torch.from_numpy(np.array(render(scene))).permute(2, 0, 1).float() / 127.5 - 1


def _one(picture: Tensor, scene: Scene) -> tuple[float, float, float, bool, bool]:
    scene = nearest(picture, scene)
    truth, empty = drawn(scene), _background(scene)
    parts = [_visible(drawn(only), empty, 0.02) for only in _alone(scene)]
    region = _widened(torch.stack(parts).any(0))
    error = (picture - truth).square().mean(0)[region].mean() / 4
    shows = _visible(_smooth(picture), _smooth(empty), VISIBLE)
    missing = any(float(shows[part].float().mean()) < SHOWN for part in parts)
    stray = shows & ~_widened(region)
    doubled = bool((-functional.max_pool2d(-stray[None, None].float(), BLOB, 1)).any())
    energy, right = (float(_edges(x)[region[:-1, :-1]].sum()) for x in (picture, truth))
    return float(-10 * error.clamp(min=1e-9).log10()), energy, right, doubled, missing


def _alone(scene: Scene) -> list[Scene]:
    """The scene's subject (dressed) and its companion, each alone."""
    subject = replace(scene, companion=None)
    if scene.companion is None:
        return [subject]
    hidden = replace(scene.placement, x=-1000)
    return [subject, replace(scene, wearable=None, placement=hidden)]


def _background(scene: Scene) -> Tensor:
    away = replace(scene.placement, x=-1000)
    return drawn(replace(scene, wearable=None, companion=None, placement=away))


def _visible(picture: Tensor, empty: Tensor, least: float) -> Tensor:
    return (picture - empty).abs().amax(0) > least


def _smooth(picture: Tensor) -> Tensor:
    return functional.avg_pool2d(picture[None], 3, 1, 1, count_include_pad=False)[0]


def _widened(mask: Tensor) -> Tensor:
    return functional.max_pool2d(mask[None, None].float(), MARGIN, 1, MARGIN // 2)[0, 0] > 0


def _edges(picture: Tensor) -> Tensor:
    across = (picture[:, :-1, 1:] - picture[:, :-1, :-1]).square().sum(0)
    down = (picture[:, 1:, :-1] - picture[:, :-1, :-1]).square().sum(0)
    return across + down
