"""Trains the attribute classifier of LittleWorld on scenes that are drawn as they are needed.

    python -m training.classifier --minutes 12

Started again, it goes on where it stopped until the minutes are spent, then writes the weights and the accuracy on
1000 held-out scenes into `src/undrift/littleworld/judge/`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from training.data import HELD_OUT, pictures, scene
from training.run import load_checkpoint, prepare, save_checkpoint
from undrift.littleworld.judge import WEIGHTS, AttributeClassifier, read_logits
from undrift.littleworld.scenes import ATTRIBUTES, Scene

_STATE = Path("training/state/classifier.pt")
_BATCH = 64
_PEAK_RATE = 4e-3


def as_labels(scenes: Iterable[Scene]) -> dict[str, Tensor]:
    """The index of every attribute's value in `ATTRIBUTES`, (N,) by name."""
    rows = [scene.attributes() for scene in scenes]
    return {name: torch.tensor([values.index(row[name]) for row in rows]) for name, values in ATTRIBUTES.items()}


def soften(sharp: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures as a small autoencoder might give them back: shifted, blurred, noisy, brighter or darker."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(sharp), 1, 1, 1, generator=generator)

    right, down = (int(torch.randint(-6, 7, (), generator=generator)) for _ in range(2))
    padded = functional.pad(sharp, (6, 6, 6, 6), mode="replicate")
    shifted = padded[:, :, 6 + down : 134 + down, 6 + right : 134 + right]
    factor = (2, 3, 4)[int(torch.randint(3, (), generator=generator))]
    small = functional.interpolate(shifted, scale_factor=1 / factor, mode="bilinear", antialias=True)
    blurred = functional.interpolate(small, size=shifted.shape[-2:], mode="bilinear")
    amount = uniform(-1, 1).clamp(min=0)
    mixed = shifted + amount * (blurred - shifted)
    noise = torch.randn(mixed.shape, generator=generator) * uniform(-0.1, 0.2).clamp(min=0)
    return (mixed * uniform(0.85, 1.15) + uniform(-0.1, 0.1) + noise).clamp(-1, 1)


@dataclass
class Trainer:
    """Model, optimiser and how far they are."""

    model: AttributeClassifier
    optimiser: torch.optim.AdamW
    step: int = 0
    seconds: float = 0.0

    @classmethod
    def resume(cls) -> Trainer:
        """A new trainer, or the saved one."""
        torch.manual_seed(0)
        model = AttributeClassifier()
        trainer = cls(model, torch.optim.AdamW(model.parameters(), lr=_PEAK_RATE, weight_decay=0.01))
        state = load_checkpoint(_STATE)
        if state is not None:
            trainer.model.load_state_dict(state["model"])
            trainer.optimiser.load_state_dict(state["optimiser"])
            trainer.step, trainer.seconds = state["step"], state["seconds"]
        return trainer

    def save(self) -> None:
        """Writes everything that `resume` needs."""
        state = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
        save_checkpoint(_STATE, {**state, "step": self.step, "seconds": self.seconds})

    def train(self, minutes: float) -> None:
        """Steps until the minutes, those of earlier runs included, are spent."""
        self.model.train()
        budget = 60 * minutes
        while self.seconds < budget:
            began = time.perf_counter()
            self._set_rate(self.seconds / budget)
            loss = self._one_step()
            self.seconds += time.perf_counter() - began
            if self.step % 100 == 0:
                self.save()
                print(f"step {self.step}  {self.seconds:.0f} s  loss {loss:.4f}", flush=True)
        self.save()

    def _set_rate(self, progress: float) -> None:
        warm = min(1.0, progress / 0.05)
        for group in self.optimiser.param_groups:
            group["lr"] = _PEAK_RATE * warm * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)

    def _one_step(self) -> float:
        first = self.step * _BATCH % HELD_OUT
        seeds = range(first, min(first + _BATCH, HELD_OUT))
        labels = as_labels(scene(seed) for seed in seeds)
        shown = soften(pictures(seeds), torch.Generator().manual_seed(self.step))
        logits = self.model(shown.contiguous(memory_format=torch.channels_last))
        losses = [functional.cross_entropy(logits[name], labels[name]) for name in ATTRIBUTES]
        loss = torch.stack(losses).mean()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.step += 1
        return loss.item()


def accuracy(model: AttributeClassifier, shown: Tensor, scenes: list[Scene]) -> dict[str, float]:
    """Share of scenes with the right value, by attribute, and with every attribute right ("all")."""
    model.eval()
    with torch.inference_mode():
        found = [answer for batch in torch.split(shown, 100) for answer in read_logits(model(batch))]
    truth = [scene.attributes() for scene in scenes]
    pairs = list(zip(found, truth, strict=True))
    shares = {name: sum(f[name] == t[name] for f, t in pairs) / len(pairs) for name in ATTRIBUTES}
    return {**shares, "all": sum(f == t for f, t in pairs) / len(pairs)}


def publish(trainer: Trainer, count: int = 1000) -> dict[str, object]:
    """Writes the weights and the held-out accuracy into the package."""
    seeds = range(HELD_OUT, HELD_OUT + count)
    scenes, sharp = [scene(seed) for seed in seeds], pictures(seeds)
    soft = soften(sharp, torch.Generator().manual_seed(HELD_OUT))
    report: dict[str, object] = {
        "scenes": count,
        "first_seed": HELD_OUT,
        "training_scenes": trainer.step * _BATCH,
        "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
        "accuracy": accuracy(trainer.model, sharp, scenes),
        "accuracy_softened": accuracy(trainer.model, soft, scenes),
    }
    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in trainer.model.state_dict().items()}, WEIGHTS)
    WEIGHTS.chmod(0o644)
    (WEIGHTS.parent / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=12.0, help="training time of all runs together")
    options = parser.parse_args()
    prepare(threads=1)
    trainer = Trainer.resume()
    trainer.train(options.minutes)
    print(json.dumps(publish(trainer), indent=2))


if __name__ == "__main__":
    main()
