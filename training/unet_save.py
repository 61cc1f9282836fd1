"""Writes the tiny Stable Diffusion as an ordinary pipeline folder, and says how well it draws what captions say.

    python -m training.unet_save --runs runs --name unet-annealed --sheet sheet.png

Samples of held-out captions are read by the attribute classifier; the sheet shows the drawn pictures above them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
from torch import Tensor

from training import data, run, sample, save
from training.flow import load_parameters
from training.unet_nets import UNetNets, scheduler
from undrift.backbones.clip_prompts import ClipPrompts
from undrift.backbones.noise_levels import variance_preserving
from undrift.backbones.placement import Placement
from undrift.backbones.sd1 import StableDiffusionBackbone
from undrift.flow import Euler, integrate
from undrift.littleworld.judge import judge
from undrift.littleworld.scenes import ATTRIBUTES, NONE

FOLDER = Path("src/undrift/littleworld/sd")
TUNED = Path(__file__).with_name("tuned_sd.json")


def load(runs: Path, name: str) -> UNetNets:
    """The moving average of a checkpoint."""
    state = run.load_checkpoint(runs / f"{name}.pt")
    if state is None:
        raise SystemExit(f"no checkpoint {name}.pt in {runs}; train it first")
    nets = UNetNets()
    load_parameters(nets, state["ema"])
    return nets.eval()


def pipeline(nets: UNetNets, vae: AutoencoderKL) -> StableDiffusionPipeline:
    """The networks as the pipeline that anyone can load."""
    # The pipeline wants the offset of its own models; undrift's grid takes none.
    settings = {**scheduler().config, "steps_offset": 1}
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=nets.clip,
        tokenizer=nets.clip_tokenizer,
        unet=nets.unet,
        scheduler=DDIMScheduler.from_config(settings),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def backbone_of(pipe: StableDiffusionPipeline) -> StableDiffusionBackbone:
    """The pipeline's parts as undrift runs them."""
    placement = Placement(torch.device("cpu"), torch.float32)
    prompts = ClipPrompts(pipe.text_encoder, pipe.tokenizer, placement)
    return StableDiffusionBackbone(
        pipe.unet, vae=pipe.vae, prompts=prompts, scheduler=pipe.scheduler.config, placement=placement
    )


def samples(backbone: StableDiffusionBackbone, captions: list[str], guidance: float, steps: int) -> Tensor:
    """One DDIM sample per caption, (N, 3, 128, 128) in [-1, 1]."""
    from undrift.backbones.base import Latent
    from undrift.backbones.pictures import to_tensor

    geometry = backbone.geometry((data.SIZE, data.SIZE))
    channels = backbone.architecture.channels * backbone.architecture.patch**2
    parts = []
    for first in range(0, len(captions), 32):
        chosen = captions[first : first + 32]
        sigmas = backbone.sigmas(steps, geometry)
        noise = torch.randn(len(chosen), geometry.tokens, channels, generator=torch.Generator().manual_seed(first))
        start = noise / variance_preserving(float(sigmas[0]))
        field = backbone.velocity_field(backbone.embed(chosen), geometry, guidance)
        final = integrate(field, Euler(), start, sigmas).final
        parts.append(to_tensor(backbone.decode(Latent(final, geometry)), geometry, geometry.token_side))
    return torch.cat(parts)


def shares(pictures: Tensor, first_seed: int) -> dict[str, float]:
    """Share of pictures in which an attribute is read as the caption names it, and in which all are."""
    truth = [data.scene(first_seed + index).attributes() for index in range(len(pictures))]
    found = judge(pictures)
    pairs = list(zip(found, truth, strict=True))
    named = {name: [f[name] == t[name] for f, t in pairs if t[name] != NONE] for name in ATTRIBUTES}
    right = {name: round(sum(each) / len(each), 3) for name, each in named.items()}
    return {**right, "all": round(sum(f == t for f, t in pairs) / len(pairs), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--name", default="unet-annealed", help="checkpoint")
    parser.add_argument("--vae", default="vae-crisp", help="folder in runs of the autoencoder")
    parser.add_argument("--guidance", type=float, nargs="*", default=[3.0, 5.0, 7.5])
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--count", type=int, default=64, help="held-out captions to judge; 0 judges none")
    parser.add_argument("--sheet", type=Path, help="picture of the first sixteen")
    parser.add_argument("--out", type=Path, help=f"folder to write, {FOLDER} for the package; default: none")
    args = parser.parse_args()
    run.prepare(1)
    vae = AutoencoderKL.from_pretrained(args.runs / args.vae)
    pipe = pipeline(load(args.runs, args.name), vae)
    captions = [data.text(data.HELD_OUT + index) for index in range(args.count)]
    rows = []
    for guidance in args.guidance if captions else []:
        drawn = samples(backbone_of(pipe), captions, guidance, args.steps)
        print(json.dumps({"guidance": guidance, "steps": args.steps, **shares(drawn, data.HELD_OUT)}), flush=True)
        rows += [drawn[:8], drawn[8:16]]
    if args.sheet and rows:
        truth = data.pictures(range(data.HELD_OUT, data.HELD_OUT + 16))
        sample.sheet([truth[:8], truth[8:], *rows]).save(args.sheet)
    if args.out:
        save.publish(pipe, args.out, TUNED)


if __name__ == "__main__":
    main()
