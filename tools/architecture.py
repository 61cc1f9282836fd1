"""Draws the two pictures of docs/architecture.md: python -m tools.architecture [FOLDER]

``turn.svg`` follows one turn from the session back into it; ``layers.svg`` shows which package may import which.
A test draws both again and compares them with the files, and the layers with the rule that the tests enforce.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

FOLDER = Path(__file__).parents[1] / "docs" / "images"
WIDTH = 960
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1d2733; }
.name { font-weight: 600; }
.lane { font: 600 13px system-ui, sans-serif; fill: #5b6b7c; }
.band { opacity: 0.45; }
.box { stroke: #5b6b7c; }
.line { fill: none; stroke: #33475b; stroke-width: 1.6; marker-end: url(#tip); }
.back { stroke: #b4532a; stroke-width: 2.2; marker-end: url(#tip-back); }
.note { fill: #5b6b7c; font-size: 12.5px; }
.loop { fill: #b4532a; font-weight: 600; font-size: 13px; }
"""
FILLS = {
    "session": "#e3ecf7",
    "methods": "#fdf0d5",
    "flow": "#e2f2e6",
    "attention": "#f1e6f5",
    "backbones": "#e6eef0",
    "none": "#ffffff",
}


@dataclass(frozen=True)
class Layer:
    """One package: what it holds, and which row of the picture it stands in (0 is the lowest)."""

    name: str
    holds: str
    row: int
    fill: str = "none"


LAYERS = (
    Layer("cli", "the command line", 8),
    Layer("services", "tables, the images API, agents", 7),
    Layer("studio", "the page in the browser", 6),
    Layer("bench", "suites, metrics, runner, reports", 5),
    Layer("session", "the tree of turns; the engine", 4, "session"),
    Layer("methods", "one file per editor", 3, "methods"),
    Layer("backbones", "one adapter per model family", 2, "backbones"),
    Layer("attention", "sites, taps, maps, kernels", 1, "attention"),
    Layer("instructions", "a sentence becomes a caption", 1),
    Layer("flow", "schedules, solvers, control, the loop", 0, "flow"),
    Layer("littleworld", "the drawn world and its weights", 0),
)

ROWS = 9


@dataclass
class Drawing:
    """An SVG under construction; coordinates are pixels from the top left."""

    height: int
    title: str
    root: ET.Element = field(init=False)

    def __post_init__(self) -> None:
        size = {"viewBox": f"0 0 {WIDTH} {self.height}", "width": str(WIDTH), "height": str(self.height)}
        self.root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **size})
        ET.SubElement(self.root, "title").text = self.title
        ET.SubElement(self.root, "style").text = STYLE
        defs = ET.SubElement(self.root, "defs")
        for name, colour in (("tip", "#33475b"), ("tip-back", "#b4532a")):
            size = {"markerWidth": "8", "markerHeight": "8", "refX": "7", "refY": "4"}
            marker = ET.SubElement(
                defs, "marker", {"id": name, "orient": "auto", "markerUnits": "userSpaceOnUse", **size}
            )
            ET.SubElement(marker, "path", {"d": "M0 0 L8 4 L0 8 z", "fill": colour})
        self.rect(0, 0, WIDTH, self.height, "#ffffff", rx=10)

    def rect(self, x: float, y: float, width: float, height: float, fill: str, rx: float = 6, kind: str = "") -> None:
        box = {"x": f"{x:g}", "y": f"{y:g}", "width": f"{width:g}", "height": f"{height:g}", "rx": f"{rx:g}"}
        ET.SubElement(self.root, "rect", {**box, "fill": fill, "class": kind} if kind else {**box, "fill": fill})

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "middle") -> None:
        at = {"x": f"{x:g}", "y": f"{y:g}", "text-anchor": anchor}
        ET.SubElement(self.root, "text", {**at, "class": kind} if kind else at).text = words

    def box(self, x: float, y: float, width: float, fill: str, name: str, *lines: str) -> None:
        """A box 26 pixels high and 17 more per line, its name in bold."""
        self.rect(x, y, width, 26 + 17 * len(lines), FILLS[fill], kind="box")
        self.text(x + width / 2, y + 18, name, "name")
        for number, line in enumerate(lines, 1):
            self.text(x + width / 2, y + 18 + 17 * number, line, "note")

    def arrow(self, *points: tuple[float, float], kind: str = "line") -> None:
        """A line through ``points`` with a tip at its end."""
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
        ET.SubElement(self.root, "path", {"d": path, "class": f"line {kind}" if kind != "line" else kind})

    def lane(self, y: float, height: float, fill: str, name: str) -> None:
        """A band across the picture for one package."""
        self.rect(12, y, WIDTH - 24, height, FILLS[fill], rx=8, kind="band")
        self.text(24, y + 19, name, "lane", anchor="start")

    def svg(self) -> str:
        ET.indent(self.root, " ")
        return ET.tostring(self.root, encoding="unicode") + "\n"


def turn() -> str:
    """The data flow of one turn, as ``multi_turn`` does it."""
    d = Drawing(596, "One turn: from the session through the method and the backbone back into the session")
    d.lane(12, 132, "session", "session")
    d.lane(158, 128, "methods", "methods")
    d.text(936, 177, "as multi_turn does it", "note", anchor="end")
    d.lane(300, 84, "flow", "flow")
    d.lane(398, 74, "attention", "attention")
    d.lane(486, 98, "backbones", "backbones")

    d.box(30, 44, 176, "none", "turns so far", "latent of the original", "latent of the turn before", "their prompts")
    d.box(244, 44, 150, "none", "EditRequest", "prompts and words,", "latents, seed, region")
    d.box(576, 44, 158, "none", "outside the region", "the turn before,", "to the bit")
    d.box(770, 44, 160, "none", "the next turn", "latent, decoded picture,", "parameters, hashes,", "cost, drift")
    d.arrow((206, 78), (242, 78))
    d.arrow((734, 78), (768, 78))

    d.box(244, 196, 170, "none", "invert", "the turn before,", "to noise: sigma 0 to 1")
    d.box(486, 196, 210, "none", "sample", "the new prompt, pulled to", "both anchors: sigma 1 to 0")
    d.arrow((319, 104), (319, 194))
    d.arrow((414, 226), (484, 226))
    d.arrow((655, 194), (655, 106))
    d.text(449, 217, "noise", "note")
    d.text(667, 160, "EditResult: latent, mask", "note", anchor="start")

    d.box(214, 326, 512, "none", "integrate:  x  +  h · increment", "solver · schedule · LQR control · observers")
    d.arrow((329, 256), (329, 324))
    d.arrow((591, 256), (591, 324))
    d.box(610, 422, 240, "none", "taps: maps, mask, highlight")
    d.box(214, 514, 150, "none", "encode, decode", "VAE, packing")
    d.box(392, 514, 140, "none", "embed", "text encoders")
    d.box(560, 514, 290, "none", "velocity field", "transformer: velocity at (x, sigma)")
    d.arrow((532, 535), (558, 535))
    d.arrow((450, 369), (450, 440), (590, 440), (590, 512))
    d.text(462, 432, "x, sigma", "note", anchor="start")
    d.arrow((730, 512), (730, 450))
    d.arrow((790, 450), (790, 512))
    d.text(802, 483, "layer by layer", "note", anchor="start")
    d.arrow((560, 548), (546, 548), (546, 580), (178, 580), (178, 345), (212, 345))
    d.text(190, 474, "velocity", "note", anchor="start")
    d.arrow((130, 121), (130, 535), (212, 535))
    d.text(122, 250, "the picture,", "note", anchor="end")
    d.text(122, 266, "once, at turn 0", "note", anchor="end")
    d.arrow((850, 34), (850, 24), (118, 24), (118, 42), kind="back")
    d.text(484, 38, "the latent is handed on, never the picture", "loop")
    return d.svg()


def layers() -> str:
    """The packages; each may import those below it."""
    step, top = 58, 30
    d = Drawing(top + ROWS * step + 42, "The packages of undrift; each may import only those below it")
    for row in range(ROWS):
        found = [layer for layer in LAYERS if layer.row == row]
        width = (700 - 20 * (len(found) - 1)) / len(found)
        for number, layer in enumerate(found):
            x, y = 40 + number * (width + 20), top + (ROWS - 1 - row) * step
            d.box(x, y, width, layer.fill, layer.name, layer.holds)
    bottom = top + ROWS * step - 16
    d.arrow((800, top + 10), (800, bottom))
    d.text(816, top + ROWS / 2 * step, "may import", "note", anchor="start")
    d.text(
        390,
        bottom + 34,
        "Modules beside the layers, such as errors and pictures, know none of them; everything may import them.",
        "note",
    )
    return d.svg()


PICTURES = {"turn.svg": turn, "layers.svg": layers}


def main(folder: Path = FOLDER) -> None:
    """Write both pictures."""
    for name, draw in PICTURES.items():
        (folder / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
