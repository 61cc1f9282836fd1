"""From a scene to its picture."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from PIL import Image, ImageDraw

from undrift.littleworld.backgrounds import DRAW_BACKGROUND
from undrift.littleworld.drawing import PALETTE, Colour, Pen, shade
from undrift.littleworld.extras import draw_companion, draw_wearable
from undrift.littleworld.patterns import lay_pattern
from undrift.littleworld.poses import LIFT, draw_subject, head_of
from undrift.littleworld.scenes import Placement, Scene
from undrift.littleworld.styles import in_style

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
    if scene.pose in LIFT:
        _draw_shadow(pen, place, cast(Colour, canvas.getpixel((0, canvas.height - 1))))
    _draw_subject(canvas, pen, scene)
    return in_style(canvas.reduce(_OVERSAMPLING), scene.style)


def _draw_subject(canvas: Image.Image, pen: Pen, scene: Scene) -> None:
    kind, colour, place = scene.subject.kind, PALETTE[scene.subject.colour], scene.placement
    x, y = pen.locate(place.x, place.y - LIFT.get(scene.pose, 0))
    posed = Pen(pen.draw, x, y, scale=pen.scale * place.scale, flip=1 if place.facing == "left" else -1)

    def draw(with_pen: Pen, in_colour: Colour) -> None:
        draw_subject(with_pen, kind, in_colour, scene.pose)

    draw(posed, colour)
    lay_pattern(canvas, posed, scene.pattern, colour, draw)
    if scene.wearable is not None:
        draw_wearable(posed, head_of(kind, scene.pose), scene.wearable.kind, PALETTE[scene.wearable.colour])


def _draw_shadow(pen: Pen, place: Placement, ground: Colour) -> None:
    """A dark spot on the ground, where somebody is in the air above it."""
    pen.at(place.x, place.y, place.scale).oval(-20, -4, 20, 4, shade(ground))


def _pen(canvas: Image.Image, size: int) -> Pen:
    return Pen(ImageDraw.Draw(canvas), 0, 0, _OVERSAMPLING * size / SIZE)


@lru_cache(maxsize=16)
def _background(name: str, size: int) -> Image.Image:
    canvas = Image.new("RGB", (_OVERSAMPLING * size, _OVERSAMPLING * size))
    DRAW_BACKGROUND[name](_pen(canvas, size))
    return canvas
