"""What diffusers' step caches save, and how far they lead a turn astray, method by method.

For every method a few first turns are made with every cache and without. Error is the distance of the latents with
and without, as a share of how far the turn without moved its picture; whole, the share of evaluations that ran every
block; time, processor time over that without, both of this run. Thresholds are per model: this says what they do to
the model named, nothing else::

    python -m benchmarks.caches --model littleworld
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import processor_time
from benchmarks.turns import FIRST_SEED, parse_method
from undrift import load
from undrift.backbones import Backbone
from undrift.littleworld.sequences import EditSequence, sample_sequence
from undrift.methods.base import EditRequest

METHODS = ("undrift", "flowedit", "multi_turn", "fireflow", "steerflow", "rf_inversion")
CACHES = ("first_block:0.05", "first_block:0.1", "first_block:0.2", "taylorseer:2", "taylorseer:3")


@dataclass(frozen=True)
class Made:
    """Latents of the turns, how many evaluations they asked for and how many were whole, and processor seconds."""

    latents: list[Tensor]
    asked: int
    whole: int
    seconds: float


class Whole:
    """Counts the evaluations that reach a network's last block."""

    def __init__(self, backbone: Any) -> None:
        self.count = 0
        *_, last = backbone._layers.values()
        linear = next(part for part in last.modules() if isinstance(part, torch.nn.Linear))
        linear.register_forward_hook(self._reached)

    def _reached(self, *_: object) -> None:
        self.count += 1


def made(backbone: Backbone, method: str, sequences: Sequence[EditSequence], reached: Whole) -> Made:
    """The first turn of every sequence, one after another."""
    editor, latents = parse_method(method, backbone), []
    before, whole, began = backbone.counter.copy(), reached.count, processor_time()
    for seed, sequence in enumerate(sequences):
        latents.append(editor.edit(backbone, request(backbone, sequence, seed)).latent.packed)
    spent = backbone.counter.since(before).evaluations
    return Made(latents, spent, reached.count - whole, processor_time() - began)


def request(backbone: Backbone, sequence: EditSequence, seed: int) -> EditRequest:
    picture = sequence.picture(0)
    latent = backbone.encode([picture])
    return EditRequest(
        original=latent,
        previous=latent,
        turn=1,
        source_prompts=[sequence.captions[0]],
        target_prompts=[sequence.captions[1]],
        words=[None],
        seeds=[seed],
        previous_images=[picture],
    )


def error(plain: Sequence[Tensor], cached: Sequence[Tensor], pictures: Sequence[Tensor]) -> float:
    """|cached - plain| / |plain - picture| over all turns."""
    off, moved = (
        sum(float((a - b).square().sum()) for a, b in zip(one, other, strict=True))
        for one, other in ((cached, plain), (plain, pictures))
    )
    return float((off / moved) ** 0.5)


def main() -> int:
    """Measure and print a table in Markdown."""
    options = _options()
    torch.set_num_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + options.sequences)
    sequences = [sample_sequence(random.Random(seed), 1) for seed in seeds]
    plain = load(options.model)
    pictures = [plain.encode([sequence.picture(0)]).packed for sequence in sequences]
    usual = {method: made(plain, method, sequences, Whole(plain)) for method in options.methods}
    print("| method | evaluations | cache | whole | time | error |\n| --- | --- | --- | --- | --- | --- |")
    for cache in options.caches:
        cached = load(options.model, cache=cache)
        reached = Whole(cached)
        for method in options.methods:
            row, base = made(cached, method, sequences, reached), usual[method]
            share, time = row.whole / row.asked, row.seconds / base.seconds
            off = error(base.latents, row.latents, pictures)
            print(
                f"| `{method}` | {row.asked / len(sequences):.0f} | {cache} | {share:.0%} | {time:.2f} | {off:.2f} |",
                flush=True,
            )
    return 0


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.caches", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="littleworld")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--caches", nargs="+", default=CACHES)
    parser.add_argument("--sequences", type=int, default=4)
    return parser.parse_args(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
