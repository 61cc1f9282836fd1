"""From a scene to its picture."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw

from undrift.littleworld.backgrounds import DRAW_BACKGROUND
from undrift.littleworld.drawing import PALETTE, Pen
from undrift.littleworld.extras import draw_companion, draw_wearable
from undrift.littleworld.scenes import Placement, Scene
from undrift.littleworld.subjects import DRAW_SUBJECT, HEADS

SIZE = 128
"""Width and height of the world in its own units, and of a picture by default."""

_OVERSAMPLING = 3


def render(scene: Scene, size: int = SIZE) -> Image.Image:
    """The picture of a scene, (size, size) RGB; the same scene gives the same bytes."""
    canvas = _background(scene.background, size).copy()
    pen = _pen(canvas, size)
    place = scene.placement
    if scene.companion is not None:
        standing = pen.at(place.companion_x, place.companion_y)
        draw_companion(standing, scene.companion.kind, PALETTE[scene.companion.colour])
    _draw_subject(pen, scene, place)
    return canvas.reduce(_OVERSAMPLING)


def _draw_subject(pen: Pen, scene: Scene, place: Placement) -> None:
    flip = 1 if place.facing == "left" else -1
    standing = Pen(pen.draw, *pen.locate(place.x, place.y), scale=pen.scale * place.scale, flip=flip)
    DRAW_SUBJECT[scene.subject.kind](standing, PALETTE[scene.subject.colour])
    if scene.wearable is not None:
        colour = PALETTE[scene.wearable.colour]
        draw_wearable(standing, HEADS[scene.subject.kind], scene.wearable.kind, colour)


def _pen(canvas: Image.Image, size: int) -> Pen:
    return Pen(ImageDraw.Draw(canvas), 0, 0, _OVERSAMPLING * size / SIZE)


@lru_cache(maxsize=16)
def _background(name: str, size: int) -> Image.Image:
    canvas = Image.new("RGB", (_OVERSAMPLING * size, _OVERSAMPLING * size))
    DRAW_BACKGROUND[name](_pen(canvas, size))
    return canvas
