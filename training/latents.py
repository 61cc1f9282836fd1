"""Encodes pictures once for the flow: `python -m training.latents --count 24000`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, FluxPipeline
from torch import Tensor

from training import data, run

SHARD = 1000


def pack(latents: Tensor) -> Tensor:
    """Latents (batch, 8, 16, 16) as image tokens (batch, 64, 32), by the pipeline's own function."""
    packed: Tensor = FluxPipeline._pack_latents(latents, *latents.shape)
    return packed


def unpack(tokens: Tensor) -> Tensor:
    """The inverse of `pack`."""
    latents: Tensor = FluxPipeline._unpack_latents(tokens, data.SIZE, data.SIZE, 8)
    return latents


@torch.no_grad()
def encode(vae: AutoencoderKL, seeds: range) -> Tensor:
    """Packed posterior means of the pictures of `seeds`, (len(seeds), 64, 32)."""
    batches = [data.pictures(seeds[i : i + 8]) for i in range(0, len(seeds), 8)]
    latents = torch.cat([vae.encode(channels_last(batch)).latent_dist.mode() for batch in batches])
    return pack((latents - vae.config.shift_factor) * vae.config.scaling_factor)


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def shard_path(runs: Path, index: int) -> Path:
    """The file of the latents of seeds `index * SHARD` onwards."""
    return runs / "latents" / f"{index:04d}.npy"


def load(runs: Path) -> Tensor:
    """All latents encoded so far, from seed 0 on: (count, 64, 32), float16."""
    shards: list[Tensor] = []
    while (path := shard_path(runs, len(shards))).exists():
        shards.append(torch.from_numpy(np.load(path)))
    return torch.cat(shards)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--count", type=int, default=24_000)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    run.prepare(args.threads)
    vae = AutoencoderKL.from_pretrained(args.runs / "vae").to(memory_format=torch.channels_last).eval()
    (args.runs / "latents").mkdir(parents=True, exist_ok=True)
    for index in range(args.count // SHARD):
        path = shard_path(args.runs, index)
        if not path.exists():
            latents = encode(vae, range(index * SHARD, (index + 1) * SHARD))
            temporary = path.with_suffix(".tmp.npy")
            np.save(temporary, latents.half().numpy())
            temporary.rename(path)
            print(path, f"mean {latents.mean():.3f} std {latents.std():.3f}", flush=True)


if __name__ == "__main__":
    main()
