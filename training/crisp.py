"""Trains the decoder alone to draw crisply: `python -m training.crisp --steps 250`.

The encoder, and so the latents of the flow, stay as they are. Where latents are ambiguous, L1 and squares average the
answers; a small patch discriminator with feature matching asks for one of them instead (compare Esser et al., "Taming
Transformers", 2021). Short on purpose: it rings when it goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional

from training import robust, run, vae
from training.optim import set_lr
from undrift.littleworld.judge import load_judge

NOISE = 0.5
"""The deviation of the latent noise is uniform from 0 to this; it stands for the flow's errors."""
ADVERSARIAL, MATCHING = 0.05, 0.1
BATCH = 4
FIRST = 3_000_000
"""Seeds of the pictures start here."""


class Discriminator(nn.Module):
    """Drawn or decoded, for every patch of about 16 x 16 pixels; gives its features too."""

    def __init__(self, widths: tuple[int, ...] = (3, 16, 32, 64)) -> None:
        super().__init__()
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.blocks = nn.ModuleList(_block(a, b, place) for place, (a, b) in enumerate(pairs))
        self.out = nn.Conv2d(widths[-1], 1, 3, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return self.out(x), features


def _block(narrow: int, wide: int, place: int) -> nn.Sequential:
    convolution = nn.Conv2d(narrow, wide, 4, 2, 1) if place < 2 else nn.Conv2d(narrow, wide, 3, 1, 1)
    return nn.Sequential(convolution, nn.GroupNorm(4, wide) if place else nn.Identity(), nn.LeakyReLU(0.2))


class Trainer:
    """A decoder against a discriminator, each with its optimiser.

    Args:
        model: The autoencoder; its encoder is frozen.
    """

    def __init__(self, model: AutoencoderKL) -> None:
        self.model, self.critic = model, Discriminator()
        model.encoder.requires_grad_(False)
        self.judge = load_judge().requires_grad_(False)
        self.own = torch.optim.AdamW(model.decoder.parameters(), 5e-4, betas=(0.5, 0.95), weight_decay=0.0)
        self.other = torch.optim.AdamW(self.critic.parameters(), 1e-3, betas=(0.5, 0.95), weight_decay=0.0)

    def step(self, count: int, steps: int) -> None:
        """Update number `count` of `steps`: the discriminator, then the decoder."""
        set_lr([self.own, self.other], run.lr_factor(count / steps, count, warmup=20, decay_from=0.5))
        truth = vae.channels_last(range(FIRST + count * BATCH, FIRST + (count + 1) * BATCH))
        with torch.no_grad():
            latent = robust.noised(self.model.encode(truth).latent_dist.mode(), NOISE)
        shown = self.model.decode(latent).sample
        self._teach(truth, shown.detach())
        loss = robust.likeness(self.judge, shown, truth) + min(1.0, count / 100) * self._against(truth, shown)
        loss.backward()  # type: ignore[no-untyped-call]
        self.own.step()
        self.own.zero_grad()

    def _teach(self, truth: Tensor, shown: Tensor) -> None:
        """Hinge loss of the discriminator."""
        self.critic.requires_grad_(True)
        real, fake = self.critic(truth)[0], self.critic(shown)[0]
        (functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()).backward()  # type: ignore[no-untyped-call]
        self.other.step()
        self.other.zero_grad()
        self.critic.requires_grad_(False)

    def _against(self, truth: Tensor, shown: Tensor) -> Tensor:
        """What the decoder adds to its loss: the score and the distance of the features."""
        score, features = self.critic(shown)
        with torch.no_grad():
            wanted = self.critic(truth)[1]
        matching = torch.stack([(a - b).abs().mean() for a, b in zip(features, wanted, strict=True)]).sum()
        against: Tensor = MATCHING * matching - ADVERSARIAL * score.mean()
        return against


def train(runs: Path, source: str, steps: int) -> None:
    """Writes `runs/vae-crisp`."""
    model = AutoencoderKL.from_pretrained(runs / source).float().to(memory_format=torch.channels_last).train()
    trainer = Trainer(model)
    for count in range(steps):
        if count % 50 == 0:
            run.log(runs / "vae-crisp.jsonl", step=count, **robust.measure(model))
        trainer.step(count, steps)
    run.log(runs / "vae-crisp.jsonl", step=steps, **robust.measure(model))
    model.eval().save_pretrained(runs / "vae-crisp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--source", default="vae-robust", help="folder in runs of the autoencoder to start from")
    parser.add_argument("--steps", type=int, default=250)
    args = parser.parse_args()
    run.prepare(1)
    torch.manual_seed(0)
    train(args.runs, args.source, args.steps)


if __name__ == "__main__":
    main()
