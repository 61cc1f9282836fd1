"""Measures the embedded model on held-out scenes: how well it draws what a caption says.

    python -m training.report

The autoencoder's round trip is compared with the drawn picture. Pictures sampled from the captions are read by the
attribute classifier and compared with the attributes that the caption names. Writes `report.json`, `round_trips.png`
and `samples.png`; the exit status is 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FluxPipeline
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table
from torch import Tensor

from training.data import HELD_OUT, SIZE, pictures, scene, text
from undrift.littleworld.judge import judge
from undrift.littleworld.scenes import ATTRIBUTES, NONE

MODEL = Path("src/undrift/littleworld/model")
PSNR_BAR = 30.0
BARS = {"background": 0.97, "subject": 0.90, "subject_colour": 0.90, "wearable": 0.80, "companion": 0.80}
"""The least share of sampled pictures that must show what their caption says."""


@dataclass(frozen=True)
class Reading:
    """How often an attribute is read as the caption names it, as shares of pictures.

    Attributes:
        round_trip: In the autoencoder's round trips (what the classifier can read at best).
        sample: In the sampled pictures.
        named: In the sampled pictures whose caption names the attribute at all.
        bar: What `sample` and `named` must reach, None if nothing is asked.
    """

    round_trip: float
    sample: float
    named: float
    bar: float | None

    @property
    def passed(self) -> bool:
        """Whether the bar is reached."""
        return self.bar is None or min(self.sample, self.named) >= self.bar


def round_trip(pipeline: Any, shown: Tensor, batch: int) -> Tensor:
    """Decoded latent means of pictures, (N, 3, 128, 128) in [-1, 1]."""
    vae = pipeline.vae
    with torch.inference_mode():
        parts = [vae.decode(vae.encode(part).latent_dist.mode()).sample for part in torch.split(shown, batch)]
    return torch.cat(parts).clamp(-1, 1)


def sample(pipeline: Any, prompts: list[str], options: argparse.Namespace) -> Tensor:
    """One picture per prompt, (N, 3, 128, 128) in [-1, 1]; the noise of the n-th is seeded with n."""
    parts = []
    for first in range(0, len(prompts), options.batch):
        chosen = prompts[first : first + options.batch]
        generators = [torch.Generator().manual_seed(first + index) for index in range(len(chosen))]
        found = pipeline(
            prompt=chosen,
            height=SIZE,
            width=SIZE,
            num_inference_steps=options.steps,
            guidance_scale=options.guidance,
            max_sequence_length=pipeline.tokenizer_2.model_max_length,
            generator=generators,
            output_type="pt",
        )
        parts.append(found.images.float().cpu() * 2 - 1)
    return torch.cat(parts)


def psnr(shown: Tensor, truth: Tensor) -> dict[str, float]:
    """PSNR in dB of pictures in [-1, 1]: -10 log10(MSE / 4), as mean over the pictures and of the mean MSE."""
    errors = (shown - truth).square().mean((1, 2, 3)).clamp(min=1e-12) / 4
    return {"mean": float(-10 * errors.log10().mean()), "pooled": float(-10 * errors.mean().log10())}


def read(trips: Tensor, samples: Tensor, truth: list[dict[str, str]]) -> dict[str, Reading]:
    """How every attribute is read in round trips and samples."""
    readings = {}
    tripped, sampled = judge(trips), judge(samples)
    for name in ATTRIBUTES:
        right = [found[name] == wanted[name] for found, wanted in zip(sampled, truth, strict=True)]
        asked = [hit for hit, wanted in zip(right, truth, strict=True) if wanted[name] != NONE]
        readings[name] = Reading(
            round_trip=float(np.mean([f[name] == t[name] for f, t in zip(tripped, truth, strict=True)])),
            sample=float(np.mean(right)),
            named=float(np.mean(asked or [True])),
            bar=BARS.get(name),
        )
    return readings


def show(quality: dict[str, float], readings: dict[str, Reading]) -> None:
    """Prints the table of bars."""
    table = Table("attribute", "round trips", "samples", "samples that name it", "bar", "passed")
    kept = quality["mean"] >= PSNR_BAR
    table.add_row("PSNR (dB)", f"{quality['mean']:.2f} ({quality['pooled']:.2f} pooled)", "", "", "30", _tick(kept))
    for name, row in readings.items():
        shares = [f"{100 * share:.1f} %" for share in (row.round_trip, row.sample, row.named)]
        bar = "" if row.bar is None else f"{100 * row.bar:.0f} %"
        table.add_row(name.replace("_", " "), *shares, bar, "" if row.bar is None else _tick(row.passed))
    Console().print(table)


def sheet_of_round_trips(truth: Tensor, trips: Tensor, columns: int = 8) -> Image.Image:
    """Pairs of rows: drawn above, round trip below; two pairs."""
    rows = [part for first in (0, columns) for part in (truth[first:][:columns], trips[first:][:columns])]
    sheet = Image.new("RGB", (columns * SIZE, len(rows) * SIZE), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            sheet.paste(_image(picture), (x * SIZE, y * SIZE))
    return sheet


def sheet_of_samples(samples: Tensor, prompts: list[str], columns: int = 8, rows: int = 6) -> Image.Image:
    """Sampled pictures, each with its caption below."""
    height = SIZE + 56
    sheet = Image.new("RGB", (columns * (SIZE + 4), rows * height), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (picture, prompt) in enumerate(zip(samples[: columns * rows], prompts, strict=False)):
        corner = (index % columns * (SIZE + 4), index // columns * height)
        sheet.paste(_image(picture), corner)
        draw.text((corner[0], corner[1] + SIZE), "\n".join(textwrap.wrap(prompt, 22)), fill="black")
    return sheet


def measure(options: argparse.Namespace) -> bool:
    """Measures, prints and writes everything; whether every bar is reached."""
    pipeline = FluxPipeline.from_pretrained(options.model, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    seeds = range(HELD_OUT, HELD_OUT + options.count)
    prompts, truth = [text(seed) for seed in seeds], pictures(seeds)
    trips, samples = round_trip(pipeline, truth, options.batch), sample(pipeline, prompts, options)
    quality = psnr(trips, truth)
    readings = read(trips, samples, [scene(seed).attributes() for seed in seeds])
    passed = quality["mean"] >= PSNR_BAR and all(row.passed for row in readings.values())
    settings = {name: getattr(options, name) for name in ("count", "steps", "guidance")}
    report = {
        **settings,
        "psnr": quality,
        "attributes": {name: asdict(row) for name, row in readings.items()},
        "passed": passed,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    sheet_of_round_trips(truth, trips).save(options.out / "round_trips.png")
    sheet_of_samples(samples, prompts).save(options.out / "samples.png")
    show(quality, readings)
    return passed


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, help="a FLUX pipeline folder")
    parser.add_argument("--out", type=Path, default=Path("training/results"), help="folder to write into")
    parser.add_argument("--count", type=int, default=256, help="held-out scenes")
    parser.add_argument("--steps", type=int, default=28, help="Euler steps")
    parser.add_argument("--guidance", type=float, default=3.0, help="value of the guidance embedding")
    parser.add_argument("--batch", type=int, default=16, help="pictures at a time")
    raise SystemExit(0 if measure(parser.parse_args()) else 1)


def _tick(passed: bool) -> str:
    return "[green]yes[/green]" if passed else "[red]no[/red]"


def _image(picture: Tensor) -> Image.Image:
    values = ((picture.clamp(-1, 1) + 1) * 127.5).round().byte()
    return Image.fromarray(values.permute(1, 2, 0).numpy())


if __name__ == "__main__":
    main()
