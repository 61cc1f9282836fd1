"""Trains the tiny Stable Diffusion of the drawn world: `python -m training.unet --runs runs --minutes 60`.

Epsilon prediction on Stable Diffusion's own 1000 noise levels, on the latents that the flow is trained on. As there,
the learning rate is constant and `--anneal NAME` starts a branch in which it falls to zero.
"""

from __future__ import annotations

import functools
import random
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from training import data, flow, latents, oracle, run, text
from training.optim import Muon, adamw
from training.unet_nets import ALIGN_WIDTH, UNetNets

NAME = "unet"
"""Of the checkpoint and the log."""
BATCH = 32
MUON_LR = 0.02
ADAM_LR = 1.5e-3
TEXT_LR = 1e-3
LARGEST_WEIGHT = 60.0
"""Of the loss of one picture; that of the velocity reaches 243 at the last noise level."""


class Batch(NamedTuple):
    """Latents (size, 8, 16, 16), ids of their captions, and the oracle's parts and labels."""

    x0: Tensor
    clip_ids: Tensor
    parts: Tensor
    labels: Tensor


class Dataset:
    """The scenes of the seeds from 0 on with the token ids of their captions."""

    def __init__(self, scenes: latents.Shard, clip_ids: Tensor) -> None:
        self.scenes, self.clip_ids = scenes, clip_ids

    @classmethod
    def from_zero(cls, scenes: latents.Shard, nets: UNetNets) -> Dataset:
        """The scenes of the seeds from 0 on."""
        captions = [text.varied(data.text(seed), random.Random(seed)) for seed in range(len(scenes.packed))]
        return cls(scenes, text.tokenise(nets.clip_tokenizer, ["", *captions], text.CLIP_LENGTH))

    def __len__(self) -> int:
        return len(self.scenes.packed)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Random scenes; `flow.EMPTY` of the captions are empty."""
        index = torch.randint(len(self), (size,), generator=generator, device=generator.device)
        empty = torch.rand(size, generator=generator, device=generator.device) < flow.EMPTY
        return Batch(
            latents.unpack(self.scenes.packed[index].float()),
            self.clip_ids[torch.where(empty, 0, index + 1)],
            self.scenes.parts[index],
            self.scenes.labels[index],
        )


def optimisers(nets: UNetNets) -> list[torch.optim.Optimizer]:
    """Muon for the matrices and convolutions of the UNet's blocks, AdamW for the rest."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, p in nets.unet.named_parameters():
        inner = "_blocks." in name or "mid_block." in name
        (matrices if inner and p.ndim > 1 and "conv_shortcut" not in name else rest).append(p)
    groups = [{"params": rest, "lr": ADAM_LR}, {"params": list(nets.clip.parameters()), "lr": TEXT_LR}]
    return [Muon(matrices, MUON_LR), adamw(groups)]


class UNetTrainer(flow.Trainer):
    """The flow's trainer with a UNet and the loss of its noise."""

    nets: Any
    depth = 0

    def __init__(self, nets: UNetNets) -> None:
        super().__init__(nets)  # type: ignore[arg-type]

    def make_optimisers(self, scale: float) -> list[torch.optim.Optimizer]:
        return optimisers(self.nets)

    def hear_at(self) -> nn.Module:
        """The first transformer on the way up at 8 x 8 pixels."""
        place: nn.Module = self.nets.unet.up_blocks[1].attentions[0]
        return place

    def heard(self, output: Any) -> Tensor:
        features: Tensor = output[0]
        return features.flatten(2).mT

    def dataset(self, runs: Path) -> Any:
        return Dataset.from_zero(latents.load(runs), self.nets)

    def loss(self, dataset: Any, size: int) -> Tensor:
        """Mean squared error of the noise, weighted as that of the velocity would be, and the oracle head's."""
        batch = dataset.batch(size, self.generator)
        steps = self.timesteps(size)
        level = self.nets.alphas_cumprod[steps][:, None, None, None]
        noise = torch.randn(batch.x0.shape, generator=self.generator, device=self.generator.device)
        x = (level.sqrt() * batch.x0 + (1 - level).sqrt() * noise).contiguous(memory_format=torch.channels_last)
        error = self.nets(x, steps, batch.clip_ids) - noise
        spread = ((1 - level) / level).sqrt()
        # The velocity of (1 - sigma) x0 + sigma e is wrong by the noise's error times 1 + spread.
        weight = (1 + spread).square().clamp(max=LARGEST_WEIGHT).sqrt()
        loss = flow.weighted(latents.pack(weight * error), batch.parts)
        if self.head is not None:
            loss = loss + flow.ALIGN * self.rate * self.head(self._heard, batch.parts, batch.labels)
        return loss

    def timesteps(self, count: int) -> Tensor:
        """Indices of noise levels whose sigma is distributed as in the flow."""
        sigma = flow.sample_sigmas(count, self.generator)
        levels = self.nets.alphas_cumprod
        spread = ((1 - levels) / levels).sqrt()
        return torch.searchsorted(spread, sigma / (1 - sigma)).clamp(max=len(levels) - 1)


def make_trainer(compiled: bool) -> UNetTrainer:
    """A trainer of untrained networks."""
    torch.manual_seed(0)
    nets = UNetNets()
    if compiled:
        nets.compile_blocks()
    trainer = UNetTrainer(nets)
    trainer.listen(oracle.FlowHead(ALIGN_WIDTH))
    return trainer


def main() -> None:
    parser = flow.arguments(__doc__)
    parser.add_argument("--anneal", metavar="NAME", help="let the learning rate fall to zero, into a checkpoint NAME")
    args = parser.parse_args()
    run.prepare(args.threads)
    flow.train(functools.partial(make_trainer, args.compile), NAME, args, args.anneal, BATCH)


if __name__ == "__main__":
    main()
