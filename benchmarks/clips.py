"""What a clip loses when its frames are edited singly: temporal drift on moving scenes with known right answers.

    python -m benchmarks.clips [METHOD[:PRESET] ...] [--clips 6] [--frames 8] [--mover companion|subject]

For each method, with frames edited singly and anchored (``undrift.session.clips``), means over all frames but the
first:

- flicker: part of the pixels that do not change between the right pictures of two frames in which any value differs;
- change: their mean absolute change, of 255;
- drift: frames with a change there that `drift-rate` counts (docs/metrics.md);
- right: the judge reads every attribute as it should be; PSNR to the right picture, in dB;
- evaluations of the network a frame.

LittleWorld on the CPU, clips of seeds that nothing else uses.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from PIL import Image

from undrift.backbones import load
from undrift.backbones.base import Backbone
from undrift.bench.metrics.drawn import seen
from undrift.bench.metrics.drift_rate import DRIFTED_FROM, MARGIN, changed_outside
from undrift.bench.metrics.pixels import grown
from undrift.littleworld.clips import MOVERS, Clip, sample_clip
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.session.clips import ClipPlan, EditedFrame, edited_clip, single_frames

FIRST_SEED = 95_000_000
"""Beyond training, tuning and the suites."""

Editing = Callable[[Backbone, EditMethod, Sequence[Image.Image], ClipPlan], Iterator[EditedFrame]]
WAYS: dict[str, Editing] = {"singly": single_frames, "anchored": edited_clip}


@dataclass(frozen=True)
class Score:
    """Of one frame after the first; the units are the module's."""

    flicker: float
    change: float
    drift: float
    right: float
    psnr: float
    evaluations: float


def scores(clip: Clip, made: Sequence[EditedFrame]) -> Iterator[Score]:
    """Of every frame but the first."""
    truths = clip.truths()
    read = seen([frame.picture for frame in made])
    for k in range(1, len(made)):
        moved = np.asarray(truths[k - 1]) != np.asarray(truths[k])
        still = ~grown(moved.any(-1), MARGIN)
        now, before = (np.asarray(made[i].picture, dtype=np.float64) for i in (k, k - 1))
        apart = np.abs(now - before)[still]
        drifted, _ = changed_outside(made[k].picture, made[k - 1].picture, still)
        error = float(((now - np.asarray(truths[k], dtype=np.float64)) ** 2).mean())
        yield Score(
            flicker=100.0 * float((apart.max(-1) > 0).mean()),
            change=float(apart.mean()),
            drift=100.0 * float(drifted.mean() >= DRIFTED_FROM),
            right=100.0 * float(read[k] == clip.after[k].attributes()),
            psnr=10.0 * float(np.log10(255.0**2 / max(error, 1e-9))),
            evaluations=float(made[k].evaluations),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=[registry.DEFAULT])
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--mover", choices=MOVERS, default=MOVERS[0])
    args = parser.parse_args()
    torch.set_num_threads(1)
    backbone = load("littleworld", device="cpu")
    clips = [sample_clip(random.Random(FIRST_SEED + n), args.frames, args.mover) for n in range(args.clips)]
    print(f"{'':<24}" + "".join(f"{field.name:>12}" for field in fields(Score)))
    for word in args.methods:
        name, _, preset = word.partition(":")
        method = registry.get(name, preset or "default", tuned=backbone.tuned)
        for way, editing in WAYS.items():
            found = [
                score
                for n, clip in enumerate(clips)
                for score in scores(clip, list(editing(backbone, method, clip.frames(), ClipPlan(*clip.captions, n))))
            ]
            means = (float(np.mean([getattr(score, field.name) for score in found])) for field in fields(Score))
            print(f"{word + ', ' + way:<24}" + "".join(f"{mean:>12.2f}" for mean in means), flush=True)


if __name__ == "__main__":
    main()
