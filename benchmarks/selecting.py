"""How well a click selects the thing that was clicked, on LittleWorld, where the right mask is known.

    python -m benchmarks.selecting --count 20

A thing is a subject or a companion of a random scene of the whole world, without a wearable (of a cat with a hat,
both are right answers). Its true mask are the pixels that change when it is taken away; the click is in its
middle, as somebody would click: the pixel that is furthest from its edge. The overlap is intersection over union.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import mean, median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from undrift.backbones import load
from undrift.littleworld.captions import caption
from undrift.littleworld.render import render
from undrift.littleworld.scenes import RICH_PLACEMENTS, Scene, sample_rich_scene
from undrift.session.things import see, thing_at

SEED = 70_000_000
"""Of a range that nothing was trained or tuned on."""
AWAY = 5000
"""Pixels to the right, where a thing is out of the picture."""
VISIBLE = 8
"""Levels of a channel by which a pixel of the thing differs from what is behind it."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Click:
    """A thing to be selected: its picture and caption, where it is clicked (x, y), its true mask."""

    name: str
    picture: Image.Image
    prompt: str
    point: tuple[int, int]
    truth: Mask


def clicks(size: int, seed: int = SEED) -> Iterator[Click]:
    """Clicks on the things of random scenes, in pictures (size, size), without end."""
    rng = random.Random(seed)
    while True:
        scene = replace(sample_rich_scene(rng, RICH_PLACEMENTS), wearable=None)
        place = scene.placement
        yield _click(scene, replace(scene, placement=replace(place, x=place.x + AWAY)), scene.subject.kind, size)
        if scene.companion is not None:
            yield _click(scene, replace(scene, companion=None), scene.companion.kind, size)


def _click(scene: Scene, without: Scene, name: str, size: int) -> Click:
    picture = render(scene, size)
    apart = np.asarray(picture, dtype=np.int16) - np.asarray(render(without, size), dtype=np.int16)
    truth = np.abs(apart).max(axis=-1) > VISIBLE
    manner = " ".join(word for word in (scene.style, scene.pattern) if word != "plain")
    return Click(f"{manner} {name}".strip(), picture, caption(scene), _middle(truth), truth)


def _middle(mask: Mask) -> tuple[int, int]:
    """The pixel (x, y) that is left longest when the edge is taken away again and again."""
    left = mask
    while (inner := _eroded(left)).any():
        left = inner
    places = np.argwhere(left)
    row, column = places[len(places) // 2]
    return int(column), int(row)


def _eroded(mask: Mask) -> Mask:
    around = torch.nn.functional.pad(torch.from_numpy(~mask).float()[None, None], (1, 1, 1, 1), value=1.0)
    gone: Mask = torch.nn.functional.max_pool2d(around, 3, 1)[0, 0].numpy() > 0
    return ~gone


def overlap(found: Mask, truth: Mask) -> float:
    """Intersection over union."""
    return float((found & truth).sum() / (found | truth).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="things to click (20)")
    parser.add_argument("--size", type=int, default=256, help="of the pictures in pixels (256)")
    parser.add_argument("--model", default="littleworld", help="which looks at them (littleworld)")
    options = parser.parse_args()
    backbone, found = load(options.model), []
    for click, _ in zip(clicks(options.size), range(options.count), strict=False):
        thing = thing_at(see(backbone, click.picture, click.prompt), click.point)
        found.append(overlap(thing, click.truth))
        print(f"{click.name:<24}{found[-1]:.2f}")
    print(f"{len(found)} things: mean {mean(found):.2f}, median {median(found):.2f}, least {min(found):.2f}")


if __name__ == "__main__":
    main()
