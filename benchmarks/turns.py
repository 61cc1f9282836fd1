"""Turn by turn on LittleWorld: how much of what was asked happened, and how much else changed.

    python benchmarks/turns.py multi_turn multi_turn:paper multi_turn:faithful --sequences 16 --turns 5

A method is ``name``, ``name:preset`` or ``name:preset:parameter=value;...``. The sequences run as one batch, latents
are handed from turn to turn, and the scores are those of `undrift.littleworld.scoring`.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from PIL import Image

from undrift.backbones import load
from undrift.backbones.base import Backbone
from undrift.littleworld.scoring import TurnScore, mean_score, score_turn
from undrift.littleworld.sequences import EditSequence, sample_sequence
from undrift.methods import registry
from undrift.methods.base import EditMethod, EditRequest

FIRST_SEED = 20_000_000
"""Beyond the training and the held-out scenes."""


def parse_method(text: str, backbone: Backbone) -> EditMethod:
    """The method that a command-line word names."""
    name, _, rest = text.partition(":")
    preset, _, overrides = rest.partition(":")
    values = dict(item.split("=", 1) for item in overrides.split(";") if item)
    return registry.get(name, preset or "default", values, backbone.tuned)


def run(backbone: Backbone, method: EditMethod, sequences: list[EditSequence]) -> list[TurnScore]:
    """The mean score of every turn."""
    turns = enumerate(pictures(backbone, method, sequences), 1)
    return [
        mean_score([score_turn(s, turn, p) for s, p in zip(sequences, made, strict=True)]) for turn, made in turns
    ]


def pictures(backbone: Backbone, method: EditMethod, sequences: list[EditSequence]) -> Iterator[list[Image.Image]]:
    """Every turn's pictures, one per sequence."""
    latent = original = backbone.encode([s.picture(0) for s in sequences])
    for turn in range(1, sequences[0].turns + 1):
        request = EditRequest(
            original=original,
            previous=latent,
            turn=turn,
            source_prompts=[s.captions[turn - 1] for s in sequences],
            target_prompts=[s.captions[turn] for s in sequences],
            words=[None] * len(sequences),
            seeds=range(len(sequences)),
        )
        latent = method.edit(backbone, request).latent
        yield backbone.decode(latent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--model", default="littleworld")
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--output", type=Path, help="write the scores here as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    backbone = load(args.model)
    seeds = range(args.first_seed, args.first_seed + args.sequences)
    sequences = [sample_sequence(random.Random(seed), args.turns) for seed in seeds]
    results = {}
    print(f"{'method':60} " + " ".join(f"turn {t}: edit out  asked kept" for t in range(1, args.turns + 1)))
    for text in args.methods:
        began = time.perf_counter()
        scores = run(backbone, parse_method(text, backbone), sequences)
        results[text] = [asdict(score) for score in scores]
        cells = " ".join(f"      {s.edit:6.2f} {s.outside:5.1f} {s.asked:5.2f} {s.kept:4.2f}" for s in scores)
        print(f"{text:60} {cells}  {time.perf_counter() - began:.0f} s", flush=True)
    if args.output:
        args.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
