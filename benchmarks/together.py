"""Candidates of a turn as one batch, over the same made one after another, each ratio within one run.

Of forwards, four of one picture over one of a batch of four; of turns that differ in their seeds, their dials or
their methods, the four over all at once::

    python -m benchmarks.together                  # one thread, processor time
    python -m benchmarks.together --threads 2      # wall time: run nothing beside it
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import fastest, processor_time
from undrift import EditPlan, Session, load, run_together, run_turn, start_session
from undrift.backbones import Backbone
from undrift.littleworld import demo
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.methods.dial import turned

CANDIDATES = 4
WORDS = "a red cat in the snow", "a blue cat wearing a hat in the snow"
METHODS = ("undrift", "flowedit", "rf_inversion", "uniedit_flow")
DIALS = (0.0, -0.5, 0.5, 1.0)

Clock = Callable[[], float]


def forwards(backbone: Backbone, size: int, repeats: int, clock: Clock) -> float:
    """The ratio of ``CANDIDATES`` forwards of one row over one of as many."""
    latent = backbone.encode([demo.picture(size)])
    x = latent.packed.repeat(CANDIDATES, 1, 1)
    alone, batch = (
        backbone.velocity_field(backbone.embed([WORDS[1]] * rows), latent.geometry, 3.5) for rows in (1, CANDIDATES)
    )

    def one_by_one() -> None:
        for row in range(CANDIDATES):
            alone(x[row : row + 1], 0.5)

    return _ratio(one_by_one, lambda: batch(x, 0.5), repeats, clock)


def turns(backbone: Backbone, folder: Path, size: int, repeats: int, clock: Clock) -> Mapping[str, float]:
    """The ratio of whole turns, from the stored latent to the turns on disk, by what they differ in."""
    usual = registry.get(tuned=backbone.tuned)
    kinds: Mapping[str, Sequence[EditMethod]] = {
        "seeds": [usual] * CANDIDATES,
        "dials": [turned(usual, dial) if dial else usual for dial in DIALS],
        "methods": [registry.get(name, tuned=backbone.tuned) for name in METHODS],
    }
    session = start_session(folder / str(size), demo.picture(size), WORDS[0], backbone)
    return {kind: _turns(backbone, session, methods, repeats, clock) for kind, methods in kinds.items()}


def _turns(backbone: Backbone, session: Session, methods: Sequence[EditMethod], repeats: int, clock: Clock) -> float:
    alike = len({id(method) for method in methods}) == 1
    seeds = range(CANDIDATES) if alike else [0] * CANDIDATES
    plans = [EditPlan(WORDS[1], seed=seed, parent="original") for seed in seeds]

    def one_by_one() -> None:
        for method, plan in zip(methods, plans, strict=True):
            run_turn(session, backbone, method, plan)

    return _ratio(one_by_one, lambda: run_together(session, backbone, methods, plans), repeats, clock)


def _ratio(apart: Callable[[], object], at_once: Callable[[], object], repeats: int, clock: Clock) -> float:
    best = fastest({"apart": apart, "at once": at_once}, repeats, clock=clock)
    return best["apart"] / best["at once"]


def main() -> int:
    """Measure and print a row per size."""
    options = _options()
    logging.disable(logging.WARNING)
    torch.set_num_threads(options.threads)
    clock = processor_time if options.threads == 1 else time.perf_counter
    backbone = load(options.model, device="cpu")
    print("| picture | forwards | seeds | dials | methods |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            found = [forwards(backbone, size, 3 * options.repeats, clock)]
            found += turns(backbone, Path(folder), size, options.repeats, clock).values()
            print(f"| {size} x {size} | " + " | ".join(f"{ratio:.2f}" for ratio in found) + " |", flush=True)
    return 0


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.together", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="littleworld")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256], help="sides of the picture, in pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=4)
    return parser.parse_args(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
