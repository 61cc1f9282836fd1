"""Trains the attribute classifier of LittleWorld on scenes that are drawn as they are needed.

    python -m training.classifier --minutes 12

Started again, it goes on where it stopped until the minutes are spent, then writes the weights and the accuracy on
1000 held-out scenes into `src/undrift/littleworld/judge/`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from training.data import HELD_OUT, pictures, scene
from training.fit import Trainer
from training.run import prepare
from undrift.littleworld.judge import WEIGHTS, AttributeClassifier, read_logits
from undrift.littleworld.scenes import ATTRIBUTES, Scene

_BATCH = 64


def as_labels(scenes: Iterable[Scene]) -> dict[str, Tensor]:
    """The index of every attribute's value in `ATTRIBUTES`, (N,) by name."""
    rows = [scene.attributes() for scene in scenes]
    return {name: torch.tensor([values.index(row[name]) for row in rows]) for name, values in ATTRIBUTES.items()}


def soften(sharp: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures as a small autoencoder might give them back: shifted, blurred, noisy, brighter or darker."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(sharp), 1, 1, 1, generator=generator, device=sharp.device)

    right, down = torch.randint(-6, 7, (2,), generator=generator, device=sharp.device).tolist()
    padded = functional.pad(sharp, (6, 6, 6, 6), mode="replicate")
    shifted = padded[:, :, 6 + down : 134 + down, 6 + right : 134 + right]
    factor = (2, 3, 4)[int(torch.randint(3, (), generator=generator, device=sharp.device))]
    small = functional.interpolate(shifted, scale_factor=1 / factor, mode="bilinear", antialias=True)
    blurred = functional.interpolate(small, size=shifted.shape[-2:], mode="bilinear")
    amount = uniform(-1, 1).clamp(min=0)
    mixed = shifted + amount * (blurred - shifted)
    noise = torch.randn(mixed.shape, generator=generator, device=sharp.device) * uniform(-0.1, 0.2).clamp(min=0)
    return (mixed * uniform(0.85, 1.15) + uniform(-0.1, 0.1) + noise).clamp(-1, 1)


class ClassifierTrainer(Trainer):
    """Draws the scenes of a step, softens them, and asks for every attribute."""

    state: ClassVar[Path] = Path("training/state/classifier.pt")
    peak_rate: ClassVar[float] = 4e-3
    decay: ClassVar[float] = 0.01
    save_every: ClassVar[int] = 100

    def loss(self) -> Tensor:
        first = self.step * _BATCH % HELD_OUT
        seeds = range(first, min(first + _BATCH, HELD_OUT))
        labels = as_labels(scene(seed) for seed in seeds)
        shown = soften(pictures(seeds), torch.Generator().manual_seed(self.step))
        logits = self.model(shown.contiguous(memory_format=torch.channels_last))
        return torch.stack([functional.cross_entropy(logits[name], labels[name]) for name in ATTRIBUTES]).mean()


def accuracy(model: nn.Module, shown: Tensor, scenes: list[Scene]) -> dict[str, float]:
    """Share of scenes with the right value, by attribute, and with every attribute right ("all")."""
    model.eval()
    with torch.inference_mode():
        found = [answer for batch in torch.split(shown, 100) for answer in read_logits(model(batch))]
    truth = [scene.attributes() for scene in scenes]
    pairs = list(zip(found, truth, strict=True))
    shares = {name: sum(f[name] == t[name] for f, t in pairs) / len(pairs) for name in ATTRIBUTES}
    return {**shares, "all": sum(f == t for f, t in pairs) / len(pairs)}


def publish(trainer: ClassifierTrainer, count: int = 1000) -> dict[str, object]:
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
    parser.add_argument("--start", type=Path, help="weights to begin with, such as those that a GPU has trained")
    parser.add_argument("--rate", type=float, default=ClassifierTrainer.peak_rate, help="largest learning rate")
    options = parser.parse_args()
    prepare(threads=1)
    torch.manual_seed(0)
    model = AttributeClassifier()
    if options.start:
        model.load_state_dict(load_file(options.start))
    ClassifierTrainer.peak_rate = options.rate
    trainer = ClassifierTrainer(model).resumed()
    trainer.train(options.minutes)
    print(json.dumps(publish(trainer), indent=2))


if __name__ == "__main__":
    main()
