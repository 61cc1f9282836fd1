"""Draws a sheet of samples from a checkpoint: `python -m training.sample --out sheet.png`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from training import data, latents, run, text
from training.flow import SHIFT, load_parameters
from training.nets import Nets

STEPS = 28


def sigmas(steps: int) -> Tensor:
    """The shifted schedule from 1 to 0, `steps + 1` values, as FLUX's scheduler makes it."""
    u = torch.linspace(1, 1 / steps, steps)
    return torch.cat([SHIFT * u / (1 + (SHIFT - 1) * u), torch.zeros(1)])


@torch.no_grad()
def sample(nets: Nets, captions: list[str], guidance: float, distilled: bool, seed: int = 0) -> Tensor:
    """Euler samples in packed latents, (len(captions), 64, 32).

    Before distillation the guided velocity takes two evaluations, v_empty + guidance (v_caption - v_empty).
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(captions), 64, nets.transformer.config.in_channels, generator=generator)
    texts = captions if distilled else [*captions, *[""] * len(captions)]
    t5_ids = text.tokenise(nets.t5_tokenizer, texts, text.T5_LENGTH)
    clip_ids = text.tokenise(nets.clip_tokenizer, texts, text.CLIP_LENGTH)
    value = torch.full((len(texts),), guidance if distilled else 1.0)
    grid = sigmas(STEPS)
    for sigma, following in zip(grid[:-1], grid[1:], strict=True):
        batch = x if distilled else torch.cat([x, x])
        velocity = nets(batch, sigma.expand(len(texts)), t5_ids, clip_ids, value)
        if not distilled:
            conditional, empty = velocity.chunk(2)
            velocity = empty + guidance * (conditional - empty)
        x = x + (following - sigma) * velocity
    return x


@torch.no_grad()
def decode(vae: AutoencoderKL, tokens: Tensor) -> Tensor:
    """Pictures in [-1, 1], (batch, 3, 128, 128)."""
    z = latents.unpack(tokens) / vae.config.scaling_factor + vae.config.shift_factor
    picture: Tensor = vae.decode(z).sample
    return picture.clamp(-1, 1)


def sheet(rows: list[Tensor]) -> Image.Image:
    """One image of several rows of pictures."""
    grid = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    return Image.fromarray(((grid + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())


def load(runs: Path, name: str = "flow") -> Nets:
    """The moving average of a checkpoint, at its own depth."""
    state = run.load_checkpoint(runs / f"{name}.pt")
    if state is None:
        raise SystemExit(f"no checkpoint {name}.pt in {runs}; train it first")
    nets = Nets(state["double"])
    load_parameters(nets, state["ema"])
    return nets.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--name", default="flow", help="checkpoint: flow, annealed or distilled")
    parser.add_argument("--vae", default="vae-robust", help="folder in runs of the autoencoder")
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    run.prepare(1)
    nets = load(args.runs, args.name)
    vae = AutoencoderKL.from_pretrained(args.runs / args.vae).eval()
    rows = []
    for row in range(2):
        seeds = range(data.HELD_OUT + row * args.columns, data.HELD_OUT + (row + 1) * args.columns)
        captions = [data.text(seed) for seed in seeds]
        print(*captions, sep="\n")
        rows += [data.pictures(seeds), decode(vae, sample(nets, captions, args.guidance, args.name == "distilled"))]
    sheet(rows).save(args.out)


if __name__ == "__main__":
    main()
