"""Trains LittleWorld's small CLIP on scenes that are drawn as they are needed.

    python -m training.clip --minutes 18

A batch is 32 sequences of three edits, half of them of the plain world and half of the whole one (patterns, poses,
styles): each picture must find its caption among 128, three of which differ from its own in one edit only. Half of
the pictures are softened as an autoencoder would. Started again, it goes on where it stopped until the minutes are
spent, then writes the weights and what they reach on held-out scenes into `src/undrift/littleworld/clip/`.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from training.classifier import soften
from training.data import HELD_OUT
from training.fit import Trainer
from training.run import prepare
from undrift.littleworld.clip.loader import REPORT, WEIGHTS
from undrift.littleworld.clip.network import WIDTH, LittleClip
from undrift.littleworld.sequences import EditSequence, sample_rich_sequence, sample_sequence

_SEQUENCES, _EDITS = 32, 3
_LARGEST_SCALE = math.log(100.0)


def sequences(first: int, count: int = _SEQUENCES, edits: int = _EDITS) -> list[EditSequence]:
    """Sequences of the plain world, of the seeds from ``first`` on."""
    return [sample_sequence(random.Random(seed), edits) for seed in range(first, first + count)]


def rich_sequences(first: int, count: int, edits: int = _EDITS) -> list[EditSequence]:
    """Sequences with patterns, poses and styles, of the seeds from ``first`` on."""
    return [sample_rich_sequence(random.Random(seed), edits) for seed in range(first, first + count)]


def shown(drawn: list[EditSequence]) -> Tensor:
    """Every picture of the sequences, (N, 3, 128, 128) in [-1, 1]."""
    pictures: list[Image.Image] = [s.picture(turn) for s in drawn for turn in range(s.turns + 1)]
    pixels = np.stack([np.asarray(picture) for picture in pictures])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def told(drawn: list[EditSequence]) -> list[str]:
    """Every caption of the sequences, in the order of `shown`."""
    return [caption for s in drawn for caption in s.captions]


def contrastive_loss(pictures: Tensor, texts: Tensor, captions: list[str], scale: Tensor) -> Tensor:
    """Mean of both directions' cross entropy; equal captions are right answers for one another.

    Source: Radford et al. 2021, figure 3.
    """
    logits = scale * pictures @ texts.mT
    numbers = {caption: number for number, caption in enumerate(captions)}
    group = torch.tensor([numbers[caption] for caption in captions])
    right = (group[:, None] == group[None]).float()
    wanted = right / right.sum(1, keepdim=True)
    return (functional.cross_entropy(logits, wanted) + functional.cross_entropy(logits.mT, wanted)) / 2


class ClipTrainer(Trainer):
    """Draws the sequences of a step; half of their pictures are softened."""

    state: ClassVar[Path] = Path("training/state/clip.pt")
    peak_rate: ClassVar[float] = 3e-3
    decay: ClassVar[float] = 0.02
    save_every: ClassVar[int] = 50
    largest_gradient: ClassVar[float] = 1.0
    model: LittleClip

    def loss(self) -> Tensor:
        first, plain = self.step * _SEQUENCES % HELD_OUT, _SEQUENCES // 2
        drawn = sequences(first, plain) + rich_sequences(first + plain, _SEQUENCES - plain)
        captions, sharp = told(drawn), shown(drawn)
        generator = torch.Generator().manual_seed(self.step)
        softened = torch.rand(len(sharp), 1, 1, 1, generator=generator) < 0.5
        pictures = torch.where(softened, soften(sharp, generator), sharp)
        images = self.model.pictures(pictures.contiguous(memory_format=torch.channels_last))
        scale = self.model.log_scale.clamp(max=_LARGEST_SCALE).exp()
        return contrastive_loss(images, self.model.texts(captions), captions, scale)


def started() -> ClipTrainer:
    """A new trainer, or where the saved one stopped."""
    torch.manual_seed(0)
    return ClipTrainer(LittleClip()).resumed()


def share(right: Tensor) -> float:
    """Share of True, to four digits."""
    return round(float(right.float().mean()), 4)


@torch.inference_mode()
def embedded(model: LittleClip, pictures: Tensor, captions: list[str]) -> tuple[Tensor, Tensor]:
    """Unit vectors of pictures and captions."""
    model.eval()
    return torch.cat([model.pictures(part) for part in torch.split(pictures, 64)]), model.texts(captions)


@torch.inference_mode()
def accuracy(model: LittleClip, pictures: Tensor, captions: list[str], candidates: int = 64) -> dict[str, float]:
    """Share of pictures whose own caption is the nearest of ``candidates``, and the other way round."""
    images, texts = embedded(model, pictures, captions)
    cosines = [a @ b.mT for a, b in zip(torch.split(images, candidates), torch.split(texts, candidates), strict=True)]
    own = torch.arange(candidates)
    return {
        "caption_of_picture": share(torch.stack([c.argmax(1) == own for c in cosines])),
        "picture_of_caption": share(torch.stack([c.argmax(0) == own for c in cosines])),
    }


@torch.inference_mode()
def edit_accuracy(model: LittleClip, pictures: Tensor, captions: list[str], turns: int) -> float:
    """Share of edited pictures that are nearer to their caption than to the caption before the edit."""
    images, texts = (part.view(-1, turns + 1, WIDTH) for part in embedded(model, pictures, captions))
    after, before = ((images[:, 1:] * other).sum(-1) for other in (texts[:, 1:], texts[:, :-1]))
    return share(after > before)


def measured(model: LittleClip, count: int, draw: Callable[[int, int, int], list[EditSequence]]) -> dict[str, object]:
    """What the model reaches on held-out scenes and edits of one world."""
    single, edited = draw(HELD_OUT, 4 * count, 1), draw(HELD_OUT + 4 * count, count, 5)
    firsts, captions = shown(single)[::2], told(single)[::2]
    pairs, pair_captions = shown(edited), told(edited)
    generator = torch.Generator().manual_seed(HELD_OUT)
    return {
        "retrieval_1_of_64": accuracy(model, firsts, captions),
        "retrieval_1_of_64_softened": accuracy(model, soften(firsts, generator), captions),
        "retrieval_pictures": len(firsts),
        "edit_told_from_no_edit": edit_accuracy(model, pairs, pair_captions, 5),
        "edit_told_from_no_edit_softened": edit_accuracy(model, soften(pairs, generator), pair_captions, 5),
        "edits": 5 * count,
    }


def publish(trainer: ClipTrainer, count: int = 256) -> dict[str, object]:
    """Writes the weights and what they reach on held-out scenes into the package."""
    model = trainer.model
    report: dict[str, object] = {
        "first_seed": HELD_OUT,
        "training_pictures": trainer.step * _SEQUENCES * (_EDITS + 1),
        "training_minutes": round(trainer.seconds / 60, 1),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **measured(model, count, sequences),
        "rich": measured(model, count, rich_sequences),
    }
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, WEIGHTS)
    WEIGHTS.chmod(0o644)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    return report


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=18.0, help="training time of all runs together")
    options = parser.parse_args()
    prepare(threads=1)
    trainer = started()
    trainer.train(options.minutes)
    print(json.dumps(publish(trainer), indent=2))


if __name__ == "__main__":
    main()
