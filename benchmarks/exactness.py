"""How far a turn's picture depends on how it is run: in a batch instead of singly, on two threads instead of one.

    python -m benchmarks.exactness [METHOD[:PRESET] ...] [--pictures 16]

Prints for each method the largest difference between the pictures, of 255, and the part of their values that differ;
pictures, captions and seeds are the same. LittleWorld, on the CPU.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from undrift.backbones import load
from undrift.backbones.base import Backbone
from undrift.littleworld.sequences import EditSequence, sample_sequence
from undrift.methods import registry
from undrift.methods.base import EditMethod, EditRequest

FIRST_SEED = 20_000_000
"""Beyond the training and the held-out scenes."""

METHODS = ("multi_turn", "flowedit", "undrift")
BATCH = 8

Pixels = NDArray[np.int16]
"""(pictures, height, width, 3), 0 to 255."""


def made(backbone: Backbone, method: EditMethod, cases: Sequence[EditSequence], batch: int, threads: int) -> Pixels:
    """The pictures of the first turn of ``cases``, ``batch`` at a time on ``threads`` threads."""
    torch.set_num_threads(threads)
    pictures: list[Image.Image] = []
    for first in range(0, len(cases), batch):
        rows = cases[first : first + batch]
        original = backbone.encode([case.picture(0) for case in rows])
        request = EditRequest(
            original=original,
            previous=original,
            turn=1,
            source_prompts=[case.captions[0] for case in rows],
            target_prompts=[case.captions[1] for case in rows],
            words=[None] * len(rows),
            seeds=range(first, first + len(rows)),
            original_prompts=[case.captions[0] for case in rows],
        )
        result = method.edit(backbone, request)
        pictures += result.images or backbone.decode(result.latent)
    return np.stack([np.asarray(picture, dtype=np.int16) for picture in pictures])


def told(one: Pixels, other: Pixels) -> str:
    """The largest difference of two, and how many values differ, in all and in the picture where most do."""
    difference = np.abs(one - other)
    most = (difference > 0).reshape(len(one), -1).mean(1).max()
    return f"{difference.max():>3} of 255, {100 * (difference > 0).mean():.4f} % (at most {100 * most:.4f} % of one)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=METHODS)
    parser.add_argument("--pictures", type=int, default=16)
    args = parser.parse_args()
    backbone = load()
    seeds = range(FIRST_SEED, FIRST_SEED + args.pictures)
    cases = [sample_sequence(random.Random(seed), 1) for seed in seeds]
    for text in args.methods:
        name, _, preset = text.partition(":")
        method = registry.get(name, preset or "default", tuned=backbone.tuned)
        alone = made(backbone, method, cases, 1, 1)
        again = made(backbone, method, cases[:1], 1, 1)
        print(f"{text:20} once more     {told(alone[:1], again)}")
        print(f"{text:20} batch of {BATCH}    {told(alone, made(backbone, method, cases, BATCH, 1))}")
        print(f"{text:20} two threads   {told(alone, made(backbone, method, cases, 1, 2))}", flush=True)


if __name__ == "__main__":
    main()
