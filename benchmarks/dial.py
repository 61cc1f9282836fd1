"""The dial between obeying and preserving, measured on LittleWorld: does every notch trade one for the other?

    python -m benchmarks.dial multi_turn fireflow --sequences 8 --turns 3

A method is written as for `benchmarks/turns.py`. Printed are the means over all turns of what was asked and happened,
of the edit's likeness to the right one, of the PSNR outside it and of what was kept (`undrift.littleworld.scoring`),
and of the PSNR of the whole picture against the turn before.
"""

from __future__ import annotations

import argparse
import random
from statistics import fmean

import numpy as np
import torch

from benchmarks.turns import parse_method, pictures
from undrift.backbones import Backbone, load
from undrift.comparison import bounded_psnr
from undrift.littleworld.scoring import TurnScore, mean_score, score_turn
from undrift.littleworld.sequences import EditSequence, sample_sequence
from undrift.methods.base import EditMethod
from undrift.methods.dial import turned

FIRST_SEED = 70_000_000
"""The ends of multi_turn's dial were chosen on sequences from here on."""

NOTCHES = (-1.0, -0.5, 0.0, 0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="seed of the first sequence")
    args = parser.parse_args()
    torch.set_num_threads(1)
    backbone = load("littleworld", device="cpu")
    seeds = range(args.first_seed, args.first_seed + args.sequences)
    sequences = [sample_sequence(random.Random(seed), args.turns) for seed in seeds]
    for text in args.methods:
        print(f"{text}\n  dial   asked   edit  outside   kept  like the turn before")
        for value in NOTCHES:
            score, like = measured(backbone, turned(parse_method(text, backbone), value), sequences)
            numbers = f"{score.asked:.3f}  {score.edit:.3f}  {score.outside:4.1f} dB  {score.kept:.3f}"
            print(f"  {value:+.1f}   {numbers}  {like:.1f} dB", flush=True)


def measured(backbone: Backbone, method: EditMethod, sequences: list[EditSequence]) -> tuple[TurnScore, float]:
    """Means over all turns: the score, and the PSNR of the whole picture against the turn before."""
    before = [sequence.picture(0) for sequence in sequences]
    scores, like = [], []
    for turn, made in enumerate(pictures(backbone, method, sequences), 1):
        scores += [score_turn(s, turn, p) for s, p in zip(sequences, made, strict=True)]
        pairs = [[np.asarray(p, dtype=np.float64) for p in pair] for pair in zip(made, before, strict=True)]
        like += [bounded_psnr(new, old) for new, old in pairs]
        before = made
    return mean_score(scores), fmean(like)


if __name__ == "__main__":
    main()
