"""Bold shapes with few colours, drawn in the coordinates of the thing that they belong to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from PIL import ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

PALETTE: dict[str, Colour] = {
    "red": (214, 36, 44),
    "orange": (255, 130, 14),
    "yellow": (255, 220, 30),
    "green": (26, 150, 66),
    "blue": (36, 82, 222),
    "purple": (146, 68, 208),
    "pink": (255, 138, 190),
    "white": (254, 254, 254),
}
DARK: Colour = (40, 36, 48)
CREAM: Colour = (246, 230, 202)
WOOD: Colour = (112, 74, 48)
GLASS: Colour = (206, 236, 250)
AMBER: Colour = (240, 170, 50)


def shade(colour: Colour) -> Colour:
    """A darker tone of the same colour."""
    red, green, blue = colour
    return (red * 17 // 25, green * 17 // 25, blue * 18 // 25)


def mark(colour: Colour) -> Colour:
    """The colour of a light mark on a body: white, or grey where the body is white itself."""
    white = PALETTE["white"]
    return shade(colour) if colour == white else white


@dataclass(frozen=True)
class Pen:
    """Draws in local units: x to the right (mirrored by a negative `flip`), y down, both from an origin.

    Attributes:
        draw: The Pillow canvas.
        x: Origin on the canvas, in canvas pixels.
        y: Origin on the canvas, in canvas pixels.
        scale: Canvas pixels per local unit.
        flip: 1 as written, -1 mirrored left to right.
    """

    draw: ImageDraw.ImageDraw
    x: float
    y: float
    scale: float
    flip: int = 1

    def at(self, x: float, y: float, scale: float = 1.0) -> Pen:
        """The pen of a part whose origin is at (x, y), drawn `scale` times as large."""
        px, py = self.locate(x, y)
        return replace(self, x=px, y=py, scale=self.scale * scale)

    def polygon(self, points: list[Point], colour: Colour) -> None:
        """A filled polygon."""
        self.draw.polygon([self.locate(x, y) for x, y in points], fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A filled circle."""
        self.oval(x - radius, y - radius, x + radius, y + radius, colour)

    def oval(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A filled ellipse within a box."""
        self.draw.ellipse(self._box(left, top, right, bottom), fill=colour)

    def dome(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """The upper half of an ellipse; the box is that of the half."""
        self.draw.pieslice(self._box(left, top, right, 2 * bottom - top), 180, 360, fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour, corner: float = 0.0) -> None:
        """A filled rectangle with round corners."""
        edges = self._box(left, top, right, bottom)
        self.draw.rounded_rectangle(edges, radius=corner * self.scale, fill=colour)

    def stroke(self, points: list[Point], width: float, colour: Colour) -> None:
        """A thick line with round joints and ends."""
        self.draw.line(
            [self.locate(x, y) for x, y in points], fill=colour, width=round(width * self.scale), joint="curve"
        )
        for x, y in (points[0], points[-1]):
            self.disc(x, y, width / 2, colour)

    def locate(self, x: float, y: float) -> Point:
        """The canvas pixel of a local point."""
        return (self.x + self.flip * self.scale * x, self.y + self.scale * y)

    def _box(self, left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        x0, y0 = self.locate(left, top)
        x1, y1 = self.locate(right, bottom)
        return (min(x0, x1), y0, max(x0, x1) - 1, y1 - 1)
