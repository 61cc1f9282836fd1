"""Draws the pictures, trains judge and autoencoder and encodes: `python -m training.gpu.prepare --work /tmp/lw`."""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from training import latents, oracle, robust, run, text, vae
from training.classifier import soften
from training.gpu.draw import Drawing, Store
from training.gpu.graph import Repeated, alternate
from training.optim import set_lr
from undrift.littleworld import judge, scenes

JUDGE_BATCH, JUDGE_RATE = 128, 4e-3
BATCHES = (48, 12)
"""Small and large pictures in a step of the autoencoder."""
ROUND = (0, 0, 1)
"""Sizes of the steps of one round of the autoencoder."""


def say(name: str, **values: object) -> None:
    """One line of the log."""
    print(time.strftime("%H:%M:%S"), name, json.dumps(values, default=lambda v: round(float(v), 5)), flush=True)


def train_judge(drawing: Drawing, seconds: float, work: Path) -> None:
    """A classifier of all attributes on softened pictures; writes it into the package as well."""
    device = drawing.small.limit.device
    model = judge.AttributeClassifier().to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), JUDGE_RATE, weight_decay=0.01)
    generator = torch.Generator(device).manual_seed(0)
    names = list(scenes.ATTRIBUTES)

    def step() -> Tensor:
        shown, _, labels = drawing.small.batch(JUDGE_BATCH)
        logits = model(soften(shown, generator).contiguous(memory_format=torch.channels_last))
        each = [functional.cross_entropy(logits[name], labels[:, place]) for place, name in enumerate(names)]
        loss = torch.stack(each).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return loss.detach()

    def before(rounds: int, progress: float) -> None:
        drawing.poll()
        warm = min(1.0, progress / 0.05)
        optimiser.param_groups[0]["lr"] = JUDGE_RATE * warm * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)

    rounds = alternate([step], seconds, before, lambda n, p, loss: say("judge", step=n, loss=loss[0]))
    say("judge", pictures=rounds * JUDGE_BATCH, drawn=drawing.small.ready)
    weights = {name: value.contiguous() for name, value in model.cpu().state_dict().items()}
    for path in (work / "classifier.safetensors", judge.WEIGHTS):
        save_file(weights, path)


def train_vae(drawing: Drawing, source: Path, seconds: float, decoder: bool = False) -> AutoencoderKL:
    """Goes on with an autoencoder, or its decoder alone, on noised latents of both sizes."""
    device = drawing.small.limit.device
    trainer = robust.Trainer(source, decoder, device=str(device))
    repeated: list[Callable[[], Tensor]] = [
        Repeated(lambda store=store, size=size: _vae_step(trainer, store, size), device)  # type: ignore[misc]
        for store, size in zip((drawing.small, drawing.large), BATCHES, strict=True)
    ]

    def before(rounds: int, progress: float) -> None:
        drawing.poll()
        set_lr(trainer.optimisers, run.lr_factor(progress, rounds, warmup=50, decay_from=0.4))

    def log(rounds: int, progress: float, losses: list[float]) -> None:
        say("vae", rounds=rounds, losses=losses, drawn=[drawing.small.ready, drawing.large.ready])

    set_lr(trainer.optimisers, 0.02)
    rounds = alternate([repeated[place] for place in ROUND], seconds, before, log)
    say("vae", rounds=rounds, **robust.measure(trainer.model))
    return trainer.model


def _vae_step(trainer: robust.Trainer, store: Store, size: int) -> Tensor:
    shown, parts, _ = store.batch(size)
    scale = shown.shape[-1] // (4 * oracle.CELLS)
    loss = trainer.loss(shown, lambda: parts.repeat_interleave(scale, 1).repeat_interleave(scale, 2))
    loss.backward()  # type: ignore[no-untyped-call]
    trainer.update()
    return loss.detach()


@torch.no_grad()
def encode(model: AutoencoderKL, store: Store, count: int | None = None) -> Tensor:
    """Posterior means of the first pictures of a store, (count, 8, height / 8, width / 8)."""
    size, found = 256 if store.large else 1024, []
    for pictures in torch.split(store.pictures[: count or store.ready], size):
        shown = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
        found.append(model.encode(shown).latent_dist.mode().half())
    return torch.cat(found)


def token_parts(parts: Tensor, large: bool) -> Tensor:
    """Four part ids of each image token, (count, tokens, 4), from part maps (count, 32, 32)."""
    quarter = parts if large else parts[:, 1::2, 1::2]
    side = quarter.shape[-1] // 2
    cells = quarter.view(-1, side, 2, side, 2)
    return cells.permute(0, 1, 3, 2, 4).reshape(-1, side * side, 4)


def save_store(model: AutoencoderKL, store: Store, path: Path) -> None:
    """Write what the flow learns from."""
    packed = latents.pack(encode(model, store))
    say("encoded", count=len(packed), mean=packed.float().mean(), std=packed.float().std())
    captions = ["", *store.captions]
    np.savez(
        path,
        packed=packed.cpu().numpy(),
        parts=token_parts(store.parts, store.large).cpu().numpy(),
        labels=store.labels.cpu().numpy(),
        t5_ids=text.tokenise(text.build_t5_tokenizer(), captions, text.T5_LENGTH).numpy(),
        clip_ids=text.tokenise(text.build_clip_tokenizer(), captions, text.CLIP_LENGTH).numpy(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--source", type=Path, required=True, help="folder of the autoencoder to start from")
    parser.add_argument("--small", type=int, default=160_000, help="scenes of 128 x 128")
    parser.add_argument("--large", type=int, default=40_000, help="scenes of 256 x 256")
    parser.add_argument(
        "--seconds",
        type=float,
        nargs=3,
        default=(25, 70, 25),
        metavar=("JUDGE", "BOTH", "DECODER"),
        help="times of judge, autoencoder and decoder; what has none stays as it is",
    )
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    drawing = Drawing(args.small, args.large, max(1, (os.cpu_count() or 2) - 1))
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    drawing.stores(torch.device(args.device))
    while not (drawing.small.ready and drawing.large.ready):
        drawing.poll(at_least=1)
    say("start", drawn=[drawing.small.ready, drawing.large.ready])
    if args.seconds[0]:
        train_judge(drawing, args.seconds[0], args.work)
    if args.seconds[1]:
        model = train_vae(drawing, args.source, args.seconds[1])
        vae.standardise(model, encode(model, drawing.small, 2048).float())
    else:
        model = AutoencoderKL.from_pretrained(args.source).float().to(args.device)
    model.eval().save_pretrained(args.work / "vae-robust")
    while not drawing.poll(at_least=1):
        pass
    say("drawn", small=drawing.small.ready, large=drawing.large.ready)
    for store in (drawing.small, drawing.large):
        save_store(model, store, args.work / f"{'large' if store.large else 'small'}.npz")
    if args.seconds[2]:
        model = train_vae(drawing, args.work / "vae-robust", args.seconds[2], decoder=True)
        model.eval().save_pretrained(args.work / "vae-decoder")


if __name__ == "__main__":
    main()
