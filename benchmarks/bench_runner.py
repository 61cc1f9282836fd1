"""What running turns in batches gains: ``python -m benchmarks.bench_runner [METHOD...] [--batch 8]``.

The same turns of the suite ``quick`` are made singly and in batches, from source pictures to the files of a run. The
ratio of processor times on one thread means the same on every machine, busy or not; below the bar the exit code
is 1.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks.measure import fastest, processor_time
from undrift import load
from undrift.backbones import Backbone
from undrift.bench.records import RunFolder
from undrift.bench.runner.place import Here, Job
from undrift.bench.runner.plan import plan
from undrift.bench.runner.start import Order, begin
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite

BAR = 1.7


def main() -> int:
    """Measure the methods that are named; the exit code is 1 if one misses the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=["multi_turn", "fireflow", "flowedit"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    backbone = load("littleworld")
    ratios = [ratio(backbone, word, args) for word in args.methods]
    return 0 if min(ratios) >= BAR else 1


def ratio(backbone: Backbone, word: str, args: argparse.Namespace) -> float:
    """Processor seconds of single turns over those of batches."""
    cases: dict[str, Callable[[], object]] = {
        f"batch {batch}": partial(run, backbone, word, args.turns, batch) for batch in (1, args.batch)
    }
    singly, together = fastest(cases, args.repeats, clock=processor_time).values()
    said = f"singly {singly:.2f} s, in batches of {args.batch} {together:.2f} s"
    print(f"{word:20} {said}, ratio {singly / together:.2f} (bar {BAR})", flush=True)
    return singly / together


def run(backbone: Backbone, word: str, turns: int, batch: int) -> None:
    """Make a run in a folder of its own."""
    suite = SuiteSpec(name="littleworld", variant="quick", turns=turns)
    with tempfile.TemporaryDirectory() as folder:
        target, order = RunFolder(Path(folder)), Order(suite, [word], "littleworld", batch=batch)
        manifest = begin(order, target, backbone.identity, backbone.tuned)
        cases = open_suite(suite)
        Here(backbone).work(Job(target, manifest, cases, plan(cases, manifest.methods, batch)), lambda record: None)


if __name__ == "__main__":
    raise SystemExit(main())
