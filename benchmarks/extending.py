"""How right the border is that `undrift extend` fills, on LittleWorld, where the wider picture is known.

    python -m benchmarks.extending --count 16 --sheet sheet.png

Of random scenes of the whole world a strip is cut off on the side away from the subject, and the canvas is extended
by as much again, with the scene's caption. Compared with it: the border mirrored, as it is without a fill, and the
last column repeated. Told, as means with 95 % intervals over the scenes:

    caption   share of the caption's attributes that the judge sees in the picture
    border    PSNR in dB of the border against the true picture
    seam      mean |border - truth| in levels over the columns next to the seam, a sixteenth of the picture

and that every pixel inside is the picture's own, without which nothing is told.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import undrift
from undrift.backbones import load
from undrift.backbones.base import Backbone
from undrift.bench.statistics import mean_of
from undrift.comparison import bounded_psnr
from undrift.littleworld.captions import caption
from undrift.littleworld.judge import SIZE, judge
from undrift.littleworld.render import render
from undrift.littleworld.scenes import RICH_PLACEMENTS, Scene, sample_rich_scene
from undrift.session.canvas import Frame, framed

SEED = 90_000_000
"""Of a range that nothing was trained, tuned or chosen on."""

Pixels = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A scene of which ``cut`` columns are to be found again, on the left or on the right."""

    scene: Scene
    cut: int
    on_the_left: bool

    @property
    def truth(self) -> Image.Image:
        return render(self.scene)

    @property
    def known(self) -> Image.Image:
        left = self.cut if self.on_the_left else 0
        return self.truth.crop((left, 0, left + SIZE - self.cut, SIZE))

    @property
    def frame(self) -> Frame:
        return Frame(-self.cut if self.on_the_left else 0, 0, SIZE, SIZE)


def cases(cut: int) -> Iterator[Case]:
    """Scenes without end, cut away from their subject."""
    rng = random.Random(SEED)
    while True:
        scene = sample_rich_scene(rng, RICH_PLACEMENTS)
        yield Case(scene, cut, scene.placement.x > SIZE // 2)


def filled(case: Case, backbone: Backbone, seed: int, folder: Path, preset: str) -> Image.Image:
    """What ``undrift.extend`` makes of it."""
    begun = undrift.start_session(folder / f"{seed}-{preset}-known", case.known, caption(case.scene), backbone)
    method = undrift.method("repaint", backbone, preset=preset)
    made = undrift.extend(begun, case.frame, folder / f"{seed}-{preset}", backbone, method=method, seed=seed)
    return made.picture(made.head)


def repeated(case: Case) -> Image.Image:
    """The last column of the picture again and again."""
    beyond = (case.cut, 0) if case.on_the_left else (0, case.cut)
    return Image.fromarray(np.pad(np.asarray(case.known), ((0, 0), beyond, (0, 0)), "edge"))


def scores(case: Case, picture: Image.Image) -> tuple[float, float, float]:
    """Caption, border and seam.

    Raises:
        ValueError: a pixel inside is another one.
    """
    seen = judge(torch.from_numpy(_pixels(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1.0)[0]
    wanted = case.scene.attributes()
    got, truth = (_pixels(each)[:, :: -1 if case.on_the_left else 1] for each in (picture, case.truth))
    inside = SIZE - case.cut
    if not (got[:, :inside] == truth[:, :inside]).all():
        raise ValueError("a pixel of the picture itself has changed")
    near = slice(inside, inside + SIZE // 16)
    return (
        float(np.mean([seen[name] == value for name, value in wanted.items()])),
        bounded_psnr(got[:, inside:], truth[:, inside:]),
        float(np.abs(got[:, near] - truth[:, near]).mean()),
    )


def _pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB"), dtype=np.float64)


def told(name: str, found: list[tuple[float, float, float]]) -> str:
    """A line of the table."""
    estimates = [mean_of(np.array(column)[:, None]) for column in zip(*found, strict=True)]
    digits = (3, 1, 1)
    parts = [f"{e.mean:.{n}f} [{e.low:.{n}f}, {e.high:.{n}f}]" for e, n in zip(estimates, digits, strict=True)]
    return f"{name:<24}" + "".join(f"{part:<24}" for part in parts)


def sheet(rows: Mapping[str, list[Image.Image]]) -> Image.Image:
    """The pictures, a row for each way."""
    made = Image.new("RGB", (SIZE * max(map(len, rows.values())), SIZE * len(rows)))
    for y, pictures in enumerate(rows.values()):
        for x, picture in enumerate(pictures):
            made.paste(picture, (SIZE * x, SIZE * y))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=16, help="scenes (16)")
    parser.add_argument("--cut", type=int, default=48, help=f"columns of {SIZE} that are cut off (48)")
    parser.add_argument("--presets", default="default,once", help="of repaint (default,once)")
    parser.add_argument("--sheet", type=Path, help="write the pictures here: truth, then each way")
    options = parser.parse_args()
    backbone = load("littleworld")
    chosen = [case for case, _ in zip(cases(options.cut), range(options.count), strict=False)]
    rows = {"truth": [case.truth for case in chosen]}
    rows["mirrored"] = [framed(case.known, case.frame) for case in chosen]
    rows["last column"] = [repeated(case) for case in chosen]
    with tempfile.TemporaryDirectory() as folder:
        for preset in options.presets.split(","):
            rows[f"repaint, {preset}"] = [
                filled(case, backbone, seed, Path(folder), preset) for seed, case in enumerate(chosen)
            ]
    print(f"{'':<24}{'caption':<24}{'border, dB':<24}seam, levels")
    for name, pictures in rows.items():
        print(told(name, [scores(case, picture) for case, picture in zip(chosen, pictures, strict=True)]))
    if options.sheet is not None:
        sheet(rows).save(options.sheet)


if __name__ == "__main__":
    main()
