"""Trains the flow and its text encoders: `python -m training.flow --double 4 --minutes 25`.

Depth comes in stages: an invocation with more `--double` blocks than the checkpoint has grows the net, keeping its
function, and goes on. Shallow nets see several times more pictures a second.

The learning rate is constant, so that the training can go on for as long as there is time. `--anneal` starts a branch
of the last checkpoint, in which it falls to zero, and leaves usable weights beside the checkpoint.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from training import data, latents, oracle, run, text
from training.helper import Helper
from training.nets import DOUBLE_BLOCKS, WIDTH, Nets, grow, grown_names, rename
from training.optim import Muon, adamw, set_lr

BATCH = 16
MUON_LR = 0.015
ADAM_LR = 1.5e-3
TEXT_LR = 1e-3
EMPTY = 0.1
"""Share of captions replaced by the empty one, for guidance."""
SHIFT = 1.596
"""exp(mu) at 64 image tokens, mu = 0.5 + (64 - 256) 0.65 / 3840: the shift of FLUX's sampling schedule."""
EMA_DECAY = 0.998
SAVE_SECONDS = 120
LOG_STEPS = 100
WARMUP = 50
"""Steps over which the learning rate rises."""
FOREGROUND = 1.0
"""Additional weight of image tokens that show a part of a thing."""
ALIGN = 0.1
"""Weight of the oracle head's cross entropy; it falls with the learning rate."""
ALIGN_DEPTH = 0.4
"""Where in the stack of double blocks the oracle head listens."""


class Batch(NamedTuple):
    """Latents (size, 64, 32), T5 and CLIP ids of their captions, and the oracle's parts and labels."""

    x0: Tensor
    t5_ids: Tensor
    clip_ids: Tensor
    parts: Tensor
    labels: Tensor


class Dataset:
    """Scenes with the token ids of their captions, on one device.

    Args:
        scenes: Latents, parts and labels.
        t5_ids: (1 + count, 20); the first row is the empty caption.
        clip_ids: (1 + count, 24); the first row is the empty caption.
    """

    def __init__(self, scenes: latents.Shard, t5_ids: Tensor, clip_ids: Tensor) -> None:
        self.scenes, self.t5_ids, self.clip_ids = scenes, t5_ids, clip_ids

    @classmethod
    def from_zero(cls, scenes: latents.Shard, nets: Nets) -> Dataset:
        """The scenes of the seeds from 0 on."""
        captions = [text.varied(data.text(seed), random.Random(seed)) for seed in range(len(scenes.packed))]
        return cls(
            scenes,
            text.tokenise(nets.t5_tokenizer, ["", *captions], text.T5_LENGTH),
            text.tokenise(nets.clip_tokenizer, ["", *captions], text.CLIP_LENGTH),
        )

    def __len__(self) -> int:
        return len(self.scenes.packed)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Random scenes; `EMPTY` of the captions are empty."""
        index = torch.randint(len(self), (size,), generator=generator, device=generator.device)
        empty = torch.rand(size, generator=generator, device=generator.device) < EMPTY
        caption = torch.where(empty, 0, index + 1)
        return Batch(
            self.scenes.packed[index].float(),
            self.t5_ids[caption],
            self.clip_ids[caption],
            self.scenes.parts[index],
            self.scenes.labels[index],
        )


def sample_sigmas(count: int, generator: torch.Generator) -> Tensor:
    """Logit-normal noise levels under the schedule's shift (Esser et al., 2024)."""
    u = torch.randn(count, generator=generator, device=generator.device).sigmoid()
    return SHIFT * u / (1 + (SHIFT - 1) * u)


def optimisers(nets: Nets, scale: float = 1.0) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for the rest."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    encoders: list[nn.Parameter] = []
    for name, p in nets.named_parameters():
        if "transformer_blocks" in name and p.ndim == 2:
            matrices.append(p)
        else:
            (rest if name.startswith("transformer.") else encoders).append(p)
    groups = [{"params": rest, "lr": scale * ADAM_LR}, {"params": encoders, "lr": scale * TEXT_LR}]
    return [Muon(matrices, scale * MUON_LR), adamw(groups)]


class Trainer:
    """One network under training: weights, their moving average, optimisers and random state.

    Args:
        nets: Networks to train, changed in place.
        scale: Factor on every learning rate.
        seed: Of the batches, the noise and the noise levels.
    """

    def __init__(self, nets: Nets, scale: float = 1.0, seed: int = 0) -> None:
        self.nets = nets
        self.optimisers = self.make_optimisers(scale)
        self.ema = {name: p.detach().clone() for name, p in nets.named_parameters()}
        device = next(nets.parameters()).device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.count = 0
        self.samples = 0
        self.rate = torch.ones((), device=device)
        """Factor of the learning rates and of the oracle head's weight in the last step."""
        self.head: oracle.FlowHead | None = None
        self._heard = torch.zeros(0)

    def make_optimisers(self, scale: float) -> list[torch.optim.Optimizer]:
        """Those of all parameters but the oracle head's."""
        return optimisers(self.nets, scale)

    def dataset(self, runs: Path) -> Dataset:
        """All pictures encoded so far."""
        return Dataset.from_zero(latents.load(runs), self.nets)

    def hear_at(self) -> nn.Module:
        """What the oracle head listens to: the block at `ALIGN_DEPTH`."""
        place: nn.Module = self.nets.transformer.transformer_blocks[round(ALIGN_DEPTH * self.nets.double_blocks) - 1]
        return place

    def heard(self, output: Any) -> Tensor:
        """The features (batch, 64, width) in what `hear_at` gives: here its image stream."""
        features: Tensor = output[1]  # [0] is the text
        return features

    def listen(self, head: oracle.FlowHead) -> None:
        """Train `head` on the features of `hear_at` beside the network."""
        self.head = head
        self.optimisers.append(adamw(head.parameters(), 2e-3))

        def hear(module: nn.Module, inputs: Any, output: Any) -> None:
            self._heard = self.heard(output)

        self.hear_at().register_forward_hook(hear)

    def loss(self, dataset: Dataset, size: int) -> Tensor:
        """Mean squared error of the velocity e - x0 on a random batch, and of the oracle head if there is one."""
        batch = dataset.batch(size, self.generator)
        sigma = sample_sigmas(size, self.generator)
        noise = torch.randn(batch.x0.shape, generator=self.generator, device=self.generator.device)
        x = torch.lerp(batch.x0, noise, sigma[:, None, None])
        velocity = self.nets(x, sigma, batch.t5_ids, batch.clip_ids, torch.ones_like(sigma))
        loss = weighted(velocity - (noise - batch.x0), batch.parts)
        if self.head is not None:
            loss = loss + ALIGN * self.rate * self.head(self._heard, batch.parts, batch.labels)
        return loss

    @property
    def depth(self) -> int:
        """Double-stream blocks of the network."""
        return self.nets.double_blocks

    def step(self, dataset: Dataset, rate: float, size: int = BATCH, helper: Helper | None = None) -> float:
        """One update at `rate` times the learning rates; the loss before it."""
        self.set_rate(rate)
        loss = self.loss(dataset, size)
        loss.backward()  # type: ignore[no-untyped-call]
        self.samples += size + (helper.collect() if helper else 0)
        self.update(min(EMA_DECAY, (self.count + 1) / (11 + self.count)))
        self.count += 1
        return loss.item()

    def set_rate(self, rate: float) -> None:
        """Take `rate` times the learning rates from here on."""
        self.rate.fill_(rate)
        set_lr(self.optimisers, rate)

    def update(self, decay: float = EMA_DECAY) -> None:
        """Move the weights by their gradients, and their average after them."""
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        torch._foreach_lerp_(list(self.ema.values()), [p.data for p in self.nets.parameters()], 1 - decay)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on exactly, keyed by parameter name."""
        named: dict[Tensor, str] = {p: name for name, p in self.nets.named_parameters()}
        return {
            "double": self.depth,
            "weights": {name: p.detach() for name, p in self.nets.named_parameters()},
            "ema": self.ema,
            "optimisers": [{named[p]: s for p, s in o.state.items()} for o in self.optimisers[:2]],
            "head": [self.head.state_dict(), self.optimisers[2].state_dict()] if self.head else [],
            "generator": self.generator.get_state(),
            "count": self.count,
            "samples": self.samples,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`, growing its blocks to the depth of this network where it is shallower."""
        shallow, deep = state["double"], self.depth
        prefixes = grown_names(shallow, deep)
        parameters = dict(self.nets.named_parameters())
        load_parameters(self.nets, grow(state["weights"], shallow, deep))
        self.ema = grow(state["ema"], shallow, deep)
        self.ema = {name: self.ema[name] for name in parameters}
        if self.head and len(state["head"]) == 2:
            self.head.load_state_dict(state["head"][0])
            self.optimisers[2].load_state_dict(state["head"][1])
        for optimiser, saved in zip(self.optimisers[:2], state["optimisers"], strict=True):
            for name, values in saved.items():
                optimiser.state[parameters[rename(name, prefixes)]] = values
        self.generator.set_state(state["generator"])
        self.count, self.samples = state["count"], state["samples"]


def weighted(error: Tensor, parts: Tensor) -> Tensor:
    """Mean square of the error (batch, 64, 32), in which tokens with a part of a thing count `FOREGROUND` more."""
    weight = 1 + FOREGROUND * (parts > 0).any(-1).float()
    mean: Tensor = (weight * error.square().mean(-1)).sum() / weight.sum()
    return mean


def load_parameters(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy named weights into the parameters of `module`."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.copy_(weights[name])


def train(
    make: Callable[[], Trainer], name: str, args: argparse.Namespace, anneal: str | None = None, batch: int = BATCH
) -> None:
    """Go on for `args.minutes` from the last checkpoint of `name` if there is one.

    Args:
        make: Makes the trainer, here and in the helper process if there is one.
        name: Of the checkpoint and the log.
        args: The options of `arguments`.
        anneal: Name of a branch, in which the learning rate falls to zero within the minutes.
        batch: Pictures in a step.
    """
    trainer, elapsed, own = make(), 0.0, args.runs / (anneal or name)
    if saved := run.load_checkpoint(args.runs / f"{name}.pt"):
        elapsed = saved["elapsed"]
        trainer.restore(saved)
    load = functools.partial(load_dataset, args.runs)
    helping: contextlib.AbstractContextManager[Helper | None] = contextlib.nullcontext()
    if args.helper is not None:
        helping = Helper(trainer, make, load, batch, args.helper)
    start, end = elapsed, elapsed + 60 * args.minutes

    def rate(seconds: float) -> float:
        falling = (end - seconds) / (end - start) if anneal else 1.0
        return max(0.01, min(1.0, (trainer.count + 1) / WARMUP, falling))

    with helping as helper:
        _loop(trainer, load, helper, run.Clock(elapsed), end, rate, own, batch)


def _loop(
    trainer: Trainer,
    load: Callable[[Trainer], Dataset],
    helper: Helper | None,
    clock: run.Clock,
    end: float,
    rate: Callable[[float], float],
    path: Path,
    batch: int,
) -> None:
    dataset, stop = load(trainer), run.Stop()
    last_save, losses = clock.elapsed, []
    while clock.elapsed < end and not stop.requested:
        losses.append(trainer.step(dataset, rate(clock.elapsed), batch, helper))
        if trainer.count % LOG_STEPS == 0:
            run.log(
                path.with_suffix(".jsonl"),
                step=trainer.count,
                samples=trainer.samples,
                seconds=clock.elapsed,
                double=trainer.depth,
                loss=sum(losses) / len(losses),
                scenes=len(dataset),
            )
            losses = []
        if clock.elapsed - last_save > SAVE_SECONDS:
            last_save = clock.elapsed
            run.save_checkpoint(path.with_suffix(".pt"), trainer.state() | {"elapsed": clock.elapsed})
            if latents.shard_path(path.parent, len(dataset) // latents.SHARD).exists():
                dataset = load(trainer)
    run.save_checkpoint(path.with_suffix(".pt"), trainer.state() | {"elapsed": clock.elapsed})


def load_dataset(runs: Path, trainer: Trainer) -> Dataset:
    """All pictures encoded so far, for this trainer's networks."""
    return trainer.dataset(runs)


def make_trainer(double: int, compiled: bool) -> Trainer:
    """A trainer of untrained networks."""
    torch.manual_seed(0)
    nets = Nets(double)
    if compiled:
        nets.compile_blocks()
    trainer = Trainer(nets)
    trainer.listen(oracle.FlowHead(WIDTH))
    return trainer


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that the flow and its distillation share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=85.0, help="time for this invocation")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="compile the blocks (a minute, then faster steps)")
    parser.add_argument("--helper", type=int, metavar="NICE", help="second process, so much nicer than this one")
    return parser


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--double", type=int, default=DOUBLE_BLOCKS, help="double-stream blocks")
    parser.add_argument("--anneal", metavar="NAME", help="let the learning rate fall to zero, into a checkpoint NAME")
    args = parser.parse_args()
    run.prepare(args.threads)
    train(functools.partial(make_trainer, args.double, args.compile), "flow", args, args.anneal)


if __name__ == "__main__":
    main()
