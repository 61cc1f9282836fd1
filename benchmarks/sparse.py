"""What an evaluation of some tokens costs beside one of all, at FLUX.1's width with random weights.

The exit code is 1 if the bar is missed::

    python -m benchmarks.sparse                                          # on a GPU: the whole network
    python -m benchmarks.sparse --blocks 1 2 --heads 4 --dtype fp32     # on a CPU: few blocks and heads
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.flux_bars import TEXT_TOKENS, transformer
from benchmarks.measure import fastest, processor_time
from undrift.backbones.conditioning import PromptTokens
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.placement import DTYPES, Placement
from undrift.backbones.prompts import conditioning_of
from undrift.backbones.sparse import SparsePair

BAR = 0.45
"""Of an evaluation of a quarter of the tokens over one of all, at ``BAR_SIZE``."""

BAR_SIZE, BAR_SHARE = 1024, 0.25
GUIDANCE = 3.5


@dataclass(frozen=True)
class Row:
    """Seconds of evaluations of all tokens, plain and leaving keys, and of a share of them; bytes that are kept."""

    size: int
    share: float
    dense: float
    leaving: float
    sparse: float
    kept_bytes: int

    @property
    def ratio(self) -> float:
        return self.sparse / self.dense


def measured(backbone: FluxBackbone, size: int, share: float, repeats: int) -> Row:
    """One row, its three evaluations taken alternately."""
    device = backbone.placement.device
    geometry = backbone.geometry((size, size))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, geometry.tokens, 64, generator=generator).to(device)
    text, pooled = (torch.randn(1, *shape, generator=generator) for shape in ((TEXT_TOKENS, 4096), (768,)))
    prompt = conditioning_of(text, pooled, (PromptTokens("", (), ()),))
    tokens = torch.arange(round(share * geometry.tokens), device=device)
    pair = SparsePair(backbone, prompt, prompt, geometry, (GUIDANCE, GUIDANCE), [tokens])
    dense = backbone.velocity_field(prompt, geometry, GUIDANCE)
    clock = time.perf_counter if device.type == "cuda" else processor_time
    with pair.fields() as (source, target):
        source(x, 0.5)
        kept = pair.kept_bytes
        target(x, 0.5)
        cases = {
            "dense": lambda: dense(x, 0.5),
            "leaving": lambda: source(x, 0.5),
            "sparse": lambda: target(x, 0.5),
        }
        best = fastest(cases, repeats, str(device), clock)
    return Row(size, share, kept_bytes=kept, **best)


def main() -> int:
    """Measure, print, write JSON where asked; 1 if the bar is missed."""
    options = _options()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = DTYPES[options.dtype]
    network = transformer(options.blocks, device, dtype, options.heads)
    backbone = FluxBackbone(network, placement=Placement(device, dtype))
    rows = []
    for size in options.sizes:
        for share in options.shares:
            row = measured(backbone, size, share, options.repeats)
            rows.append(row)
            print(
                f"{size:>5} px, {share:.0%} of the tokens: {row.sparse:.4f} s / {row.dense:.4f} s = {row.ratio:.3f}",
                f"an evaluation that leaves its keys: {row.leaving:.4f} s, {row.kept_bytes / 1e9:.2f} GB kept",
                sep="; ",
                flush=True,
            )
    if options.output:
        options.output.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    barred = [row.ratio for row in rows if (row.size, row.share) == (BAR_SIZE, BAR_SHARE)]
    return 1 if any(ratio > BAR for ratio in barred) else 0


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sparse", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024], help="sides of the picture, in pixels")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.25, 0.5, 1.0], help="of the tokens")
    parser.add_argument("--blocks", type=int, nargs=2, default=[19, 38], help="double and single blocks")
    parser.add_argument("--heads", type=int, default=24, help="of 128 channels each")
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="bf16")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, help="write JSON here")
    return parser.parse_args(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
