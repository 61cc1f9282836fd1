"""The dial between obeying and preserving, measured on LittleWorld: does every notch trade one for the other?

    python -m benchmarks.dial multi_turn fireflow --sequences 8 --turns 3

A method is written as for `benchmarks/turns.py`. Printed are the means over all turns of what was asked and happened,
of the edit's likeness to the right one, of the PSNR outside it, and of what was kept: `undrift.littleworld.scoring`.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import astuple

import torch

from benchmarks.turns import parse_method, run
from undrift.backbones import load
from undrift.littleworld.scoring import mean_score
from undrift.littleworld.sequences import sample_sequence
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
        print(f"{text}\n  dial   asked   edit  outside   kept")
        for value in NOTCHES:
            score = mean_score(run(backbone, turned(parse_method(text, backbone), value), sequences))
            edit, outside, asked, kept = astuple(score)
            print(f"  {value:+.1f}   {asked:.3f}  {edit:.3f}  {outside:4.1f} dB  {kept:.3f}", flush=True)


if __name__ == "__main__":
    main()
