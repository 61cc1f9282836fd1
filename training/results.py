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


def autoencoder(runs: Path, name: str) -> dict[str, Any]:
    """Steps, minutes and held-out PSNR of a part of the autoencoder's training."""
    log = lines(runs, name)
    psnr = [{"step": line["step"], "psnr_db": line["psnr"]} for line in log if "psnr" in line]
    last = max((line for line in log if "seconds" in line), key=lambda line: float(line["seconds"]))
    return {"steps": last["step"], "minutes": round(last["seconds"] / 60, 1), "held_out": psnr}


def curve(runs: Path, name: str) -> list[dict[str, Any]]:
    """The losses of the flow or the distillation, one in `EVERY` steps and the last."""
    log = lines(runs, name)
    return [line for line in log if line["step"] % EVERY == 0 or line is log[-1]]


def distillation(runs: Path) -> dict[str, dict[str, float]]:
    """How far one evaluation of the student is from two of the teacher, for several guidance values."""
    teacher, student = load(runs, "flow"), load(runs, "distilled")
    dataset = Dataset(latents.load(runs), teacher)
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
        "vae": autoencoder(args.runs, "vae"),
        "flow": curve(args.runs, "flow"),
        "distillation": {"loss": curve(args.runs, "distilled"), "agreement": distillation(args.runs)},
    }
    if lines(args.runs, "vae-decoder"):
        results["decoder"] = autoencoder(args.runs, "vae-decoder")
    args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
