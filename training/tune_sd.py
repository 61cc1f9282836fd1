"""Finds the tiny Stable Diffusion's own guidance and strength per method: `python -m training.tune_sd`.

The defaults of the methods are Stable Diffusion's constants for photos at 512 pixels. The search is that of
`training.tune`, on the same sequences, which nothing else uses. The best values are written to
`training/tuned_sd.json` and into the model's folder, where `training.unet_save` puts them again. Every trial is kept
in `training/tuning_sd.json`; one that is there already is not run again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training import chains, run
from training.tune import FIRST_SEED, Trials, search
from training.unet_save import TUNED
from undrift.backbones import load
from undrift.littleworld.weights import model_path

MODEL = "littleworld-sd"
RECORD = Path(__file__).with_name("tuning_sd.json")

SPACE: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "ddim": {"guidance": (3.0, 5.0)},
    "p2p": {"guidance": (3.0, 5.0)},
    "null_text": {"guidance": (2.0, 3.0)},
    "pnp_inversion": {"guidance": (3.0,)},
    "masactrl": {"guidance": (3.0,)},
}
"""Values tried, one parameter after another."""

SHORTER: Mapping[str, Mapping[str, Any]] = {
    **{name: {"steps": 25} for name in SPACE},
    "null_text": {"steps": 10, "inner_steps": 5},
}
"""Steps while searching: the guidance does not hang on their number."""

SEQUENCES, TURNS = 4, 2

LIKE: Mapping[str, str] = {"masactrl:masked": "masactrl", "pnp_inversion:masactrl": "masactrl"}
"""Presets that edit as another method does, whose values they take."""


def write(tuned: Mapping[str, Mapping[str, Any]], *files: Path) -> None:
    """Put the values where the model's folder and the next training find them."""
    for file in files:
        file.write_text(json.dumps({"tuned": tuned}, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", help="only these, keeping what was found for the others")
    args = parser.parse_args()
    run.prepare(1)
    backbone = load(MODEL, device="cpu")
    found: dict[str, dict[str, Any]] = {}
    if args.methods and TUNED.exists():
        found = json.loads(TUNED.read_text(encoding="utf-8"))["tuned"]
    for method in args.methods or SPACE:
        trials = Trials(backbone, chains.sequences(FIRST_SEED, SEQUENCES), TURNS, RECORD)
        found[method] = search(trials, method, found, SPACE[method], SHORTER[method])
        found |= {name: found[other] for name, other in LIKE.items() if other == method}
        write(found, TUNED, model_path(MODEL) / "undrift.json")


if __name__ == "__main__":
    main()
