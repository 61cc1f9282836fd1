"""Trains the autoencoder on noised latents: `python -m training.robust --minutes 12`.

A flow's latents are never exact. Encoder and decoder are therefore trained together with noise between them, so that
the encoder spreads what matters over the latent and the decoder draws cleanly from slightly wrong ones. Pixel
gradients and the first features of the attribute judge keep edges; a head that reads the parts of the things from the
noised latents keeps their meaning easy to read for the flow.

`--decoder` goes on with the decoder alone: the encoder is frozen, so latents and flow stay as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training import data, oracle, run, vae
from training.optim import adamw, set_lr
from undrift.littleworld.judge import AttributeClassifier, load_judge

NOISE = 0.8
"""The deviation of the latent noise is uniform from 0 to this, once per picture."""
PERCEPTUAL, PARTS, UNIT = 0.5, 0.1, 0.1
"""Weights of the judge's features, of the part head and of unit variance."""
BATCH = 4
FIRST = 2_000_000
"""Seeds of the pictures start here."""


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbouring pixels, across and down."""
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def seen(judge: AttributeClassifier, x: Tensor) -> list[Tensor]:
    """The judge's first two feature maps."""
    first = judge.body[0](x)
    return [first, judge.body[1](first)]


def likeness(judge: AttributeClassifier, shown: Tensor, truth: Tensor) -> Tensor:
    """L1 + squares + L1 of the gradients + `PERCEPTUAL` x L1 of the judge's features."""
    error = shown - truth
    loss = error.abs().mean() + error.square().mean() + sum(part.abs().mean() for part in gradients(error))
    features = zip(seen(judge, shown), seen(judge, truth), strict=True)
    return loss + PERCEPTUAL * torch.stack([(a - b).abs().mean() for a, b in features]).sum()


def noised(latent: Tensor, most: float) -> Tensor:
    """Latents with noise of a deviation that is uniform from 0 to `most`."""
    return latent + most * torch.rand(len(latent), 1, 1, 1, device=latent.device) * torch.randn_like(latent)


def part_maps(seeds: range) -> Tensor:
    """The oracle's parts of the scenes, (len(seeds), 32, 32)."""
    return torch.from_numpy(np.stack([oracle.part_map(data.scene(seed)) for seed in seeds])).long()


@torch.no_grad()
def measure(model: AutoencoderKL, count: int = 32) -> dict[str, float]:
    """Deviation of the latents; PSNR and edge energy (1 is right) of round trips without and with latent noise."""
    model.eval()
    x = vae.channels_last(range(data.HELD_OUT, data.HELD_OUT + count)).to(model.device)
    latent = model.encode(x).latent_dist.mode()
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(1)).to(model.device)
    found = {"std": float(latent.std())}
    edges = sum(part.square().sum() for part in gradients(x))
    for sigma in (0.0, 0.3, 0.6):
        y = model.decode(latent + sigma * noise).sample.clamp(-1, 1)
        found[f"psnr_{sigma}"] = vae.psnr(y, x)
        found[f"edge_{sigma}"] = float(sum(part.square().sum() for part in gradients(y)) / edges)
    model.train()
    return found


class Trainer:
    """The autoencoder, its part head and their optimisers.

    Args:
        source: Folder of the autoencoder to start from.
        decoder: Train the decoder alone.
        device: Where.
    """

    def __init__(self, source: Path, decoder: bool = False, device: str = "cpu") -> None:
        model = AutoencoderKL.from_pretrained(source).float()
        self.model = model.to(device, memory_format=torch.channels_last).train()
        self.model.encoder.requires_grad_(not decoder)
        self.decoder = decoder
        self.head = oracle.LatentHead(vae.LATENT_CHANNELS).to(device)
        self.judge = load_judge().requires_grad_(False).to(device)
        self.optimisers: list[torch.optim.Optimizer] = [
            *vae.optimisers(self.model.decoder if decoder else self.model, 0.01, 1e-3),
            adamw(self.head.parameters(), 2e-3),
        ]
        self.count = 0

    def loss(self, x: Tensor, parts: Callable[[], Tensor]) -> Tensor:
        """The loss on pictures (batch, 3, height, width).

        Args:
            x: In [-1, 1], channels last.
            parts: Gives their part ids, (batch, height / 4, width / 4); not asked for the decoder alone.
        """
        latent = self.model.encode(x).latent_dist.mode()
        if self.decoder:
            return likeness(self.judge, self.model.decode(noised(latent, NOISE)).sample, x)
        unit = (latent.var((0, 2, 3)) - 1).square().mean() + latent.mean((0, 2, 3)).square().mean()
        rough = noised(latent, NOISE)
        loss = UNIT * unit + likeness(self.judge, self.model.decode(rough).sample, x)
        whole: Tensor = loss + PARTS * self.head(rough, parts())
        return whole

    def step(self, progress: float) -> float:
        """One update at `progress` (0 to 1) of the whole training; the loss before it."""
        set_lr(self.optimisers, run.lr_factor(progress, self.count, warmup=20, decay_from=0.4))
        first = FIRST + self.count * BATCH
        seeds = range(first, first + BATCH)
        loss = self.loss(vae.channels_last(seeds), lambda: part_maps(seeds))
        loss.backward()  # type: ignore[no-untyped-call]
        self.update()
        self.count += 1
        return loss.item()

    def update(self) -> None:
        """Move the weights by their gradients."""
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()

    def state(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {
            "model": self.model.state_dict(),
            "head": self.head.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "count": self.count,
            "rng": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.model.load_state_dict(state["model"])
        self.head.load_state_dict(state["head"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.count = state["count"]
        torch.set_rng_state(state["rng"])


def train(runs: Path, source: str, minutes: float, total: float, decoder: bool) -> None:
    """Go on for `minutes` of a budget of `total`; writes `runs/vae-robust`, or `runs/vae-decoder`."""
    trainer, elapsed, path = (
        Trainer(runs / source, decoder),
        0.0,
        runs / ("vae-decoder.pt" if decoder else "vae-robust.pt"),
    )
    if saved := run.load_checkpoint(path):
        elapsed = saved["elapsed"]
        trainer.restore(saved)
    clock, stop = run.Clock(elapsed), run.Stop()
    end = min(60 * total, elapsed + 60 * minutes)
    while clock.elapsed < end and not stop.requested:
        loss = trainer.step(clock.elapsed / (60 * total))
        if trainer.count % 200 == 0:
            run.log(
                path.with_suffix(".jsonl"),
                step=trainer.count,
                seconds=clock.elapsed,
                loss=loss,
                **measure(trainer.model),
            )
            run.save_checkpoint(path, trainer.state() | {"elapsed": clock.elapsed})
    run.save_checkpoint(path, trainer.state() | {"elapsed": clock.elapsed})
    if not decoder:
        vae.standardise(trainer.model, vae.latent_means(trainer.model))
    run.log(path.with_suffix(".jsonl"), step=trainer.count, seconds=clock.elapsed, **measure(trainer.model))
    trainer.model.eval().save_pretrained(path.with_suffix(""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--source", default="vae", help="folder in runs of the autoencoder to start from")
    parser.add_argument("--minutes", type=float, default=12.0, help="time for this invocation")
    parser.add_argument("--total", type=float, default=None, help="time over all invocations")
    parser.add_argument("--decoder", action="store_true", help="the decoder alone, into vae-decoder")
    args = parser.parse_args()
    run.prepare(1)
    torch.manual_seed(0)
    train(args.runs, args.source, args.minutes, args.total or args.minutes, args.decoder)


if __name__ == "__main__":
    main()
