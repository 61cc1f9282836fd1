"""Encodes pictures once for the flow: `python -m training.latents --count 30000`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, FluxPipeline
from torch import Tensor

from training import data, oracle, run

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


@dataclass(frozen=True)
class Shard:
    """Scenes as the flow sees them: latents, and what the oracle knows of them.

    Attributes:
        packed: (count, 64, 32), float16.
        parts: (count, 64, 4), uint8, see `oracle.token_parts`.
        labels: (count, len(oracle.LABELS)), uint8.
    """

    packed: Tensor
    parts: Tensor
    labels: Tensor


def shard_path(runs: Path, index: int) -> Path:
    """The file of the scenes of seeds `index * SHARD` onwards."""
    return runs / "latents" / f"{index:04d}.npz"


def load(runs: Path) -> Shard:
    """All scenes encoded so far, from seed 0 on."""
    found: list[Mapping[str, np.ndarray]] = []
    while (path := shard_path(runs, len(found))).exists():
        found.append(np.load(path))
    if not found:
        raise SystemExit(f"no latents in {runs}; run training.latents first")
    return Shard(
        *(torch.from_numpy(np.concatenate([f[name] for f in found])) for name in ("packed", "parts", "labels"))
    )


def save(runs: Path, index: int, vae: AutoencoderKL) -> Tensor:
    """Encode one shard; the file is there whole or not at all. Returns its latents."""
    seeds, path = range(index * SHARD, (index + 1) * SHARD), shard_path(runs, index)
    scenes = [data.scene(seed) for seed in seeds]
    latents = encode(vae, seeds)
    temporary = path.with_suffix(".tmp.npz")
    np.savez(
        temporary,
        packed=latents.half().numpy(),
        parts=np.stack([oracle.token_parts(scene) for scene in scenes]),
        labels=np.array([oracle.labels(scene) for scene in scenes], dtype=np.uint8),
    )
    temporary.rename(path)
    return latents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--vae", default="vae-robust", help="folder in runs of the autoencoder")
    parser.add_argument("--count", type=int, default=30_000)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    run.prepare(args.threads)
    vae = AutoencoderKL.from_pretrained(args.runs / args.vae).to(memory_format=torch.channels_last).eval()
    (args.runs / "latents").mkdir(parents=True, exist_ok=True)
    for index in range(args.count // SHARD):
        if not shard_path(args.runs, index).exists():
            latents = save(args.runs, index, vae)
            print(index, f"mean {latents.mean():.3f} std {latents.std():.3f}", flush=True)


if __name__ == "__main__":
    main()
