"""Gathers the logs of all parts in training/results.json: `python -m training.results --device "2 cores of ..."`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from training import data, latents, run
from training.distill import agreement
from training.flow import Dataset
from training.nets import Nets
from training.sample import load

EVERY = 200
"""Steps between the losses that are kept."""


def lines(runs: Path, name: str) -> list[dict[str, Any]]:
    """What a part logged; nothing if it never ran."""
    path = runs / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def curve(runs: Path, name: str) -> list[dict[str, Any]]:
    """The losses of the flow or the distillation, one in `EVERY` steps and the last."""
    log = lines(runs, name)
    return [line for line in log if line["step"] % EVERY == 0 or line is log[-1]]


def distillation(runs: Path) -> dict[str, dict[str, float]]:
    """How far one evaluation of the student is from two of the teacher, for several guidance values."""
    teacher, student = load(runs, "annealed"), load(runs, "distilled")
    dataset = Dataset.from_zero(latents.load(runs), teacher)
    return {str(value): agreement(student, teacher, dataset, value) for value in (1.0, 2.0, 3.0, 5.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--device", required=True, help="what it was trained on, in words")
    parser.add_argument("--out", type=Path, default=Path("training/results.json"))
    args = parser.parse_args()
    run.prepare(1)
    results: dict[str, Any] = {
        "device": args.device,
        "held_out_from_seed": data.HELD_OUT,
        "parameters": {name: sum(p.numel() for p in part.parameters()) for name, part in Nets().named_children()},
        "autoencoder": lines(args.runs, "vae-robust"),
        "decoder": lines(args.runs, "vae-decoder"),
        "crisp": lines(args.runs, "vae-crisp"),
        "flow": curve(args.runs, "flow"),
        "annealed": curve(args.runs, "annealed"),
        "distillation": {"loss": curve(args.runs, "distilled"), "agreement": distillation(args.runs)},
    }
    args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
