"""Makes checkpoints of the weights that `learn` brought home: `python -m training.gpu.adopt --weights DIR`.

The other commands then sample, distil, save and, on a CPU, go on training from them. Moments of the optimisers and
the oracle head start anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from training import run
from training.nets import DOUBLE_BLOCKS

NAMES = ("flow", "annealed", "distilled", "unet")


def checkpoint(weights: dict[str, torch.Tensor], double: int) -> dict[str, Any]:
    """The state of a trainer that knows these weights and nothing else."""
    weights = {name: value.float() for name, value in weights.items()}
    return {
        "double": double,
        "weights": weights,
        "ema": {name: value.clone() for name, value in weights.items()},
        "optimisers": [{}, {}],
        "head": [],
        "generator": torch.Generator().manual_seed(0).get_state(),
        "count": 0,
        "samples": 0,
        "elapsed": 0.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="folder with what learn wrote")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    args = parser.parse_args()
    for name in NAMES:
        found = args.weights / f"{name}.safetensors"
        if found.exists():
            depth = 0 if name == "unet" else DOUBLE_BLOCKS
            run.save_checkpoint(args.runs / f"{name}.pt", checkpoint(load_file(found), depth))
            print(args.runs / f"{name}.pt")


if __name__ == "__main__":
    main()
