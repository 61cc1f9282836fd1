"""Writes a checkpoint as an ordinary `FluxPipeline` folder: `python -m training.save`."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
)
from torch import Tensor
from transformers import CLIPTextModel, T5EncoderModel

from training import run
from training.flow import load_parameters
from training.nets import DOUBLE_BLOCKS, Nets, grow

FOLDER = Path("src/undrift/littleworld/model")
MAX_SHARD = "16MB"
TUNED = Path(__file__).with_name("tuned.json")
"""Written by `training.tune`: the methods' parameters for this model, and its vital layers."""


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    """FLUX.1-dev's scheduler configuration."""
    return FlowMatchEulerDiscreteScheduler(
        num_train_timesteps=1000,
        shift=3.0,
        use_dynamic_shifting=True,
        base_shift=0.5,
        max_shift=1.15,
        base_image_seq_len=256,
        max_image_seq_len=4096,
    )


def pipeline(nets: Nets, vae: AutoencoderKL) -> FluxPipeline:
    """The networks as the pipeline that anyone can load."""
    return FluxPipeline(
        scheduler=scheduler(),
        vae=vae,
        text_encoder=nets.clip,
        tokenizer=nets.clip_tokenizer,
        text_encoder_2=nets.t5,
        tokenizer_2=nets.t5_tokenizer,
        transformer=nets.transformer,
    )


def save(nets: Nets, vae: AutoencoderKL, folder: Path) -> None:
    """Write the pipeline in float16; the folder changes at once or not at all."""
    publish(pipeline(nets, vae), folder, TUNED)


def publish(pipe: DiffusionPipeline, folder: Path, tuned: Path) -> None:
    """Write any pipeline in float16 with the methods' parameters beside it, where there are any."""
    temporary, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    pipe.to(torch.float16).save_pretrained(temporary, max_shard_size=MAX_SHARD)
    forget_paths(temporary)
    if tuned.exists():
        shutil.copyfile(tuned, temporary / "undrift.json")
    for file in temporary.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    temporary.chmod(0o755)
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def forget_paths(folder: Path) -> None:
    """Take the folders that parts were loaded from out of the configurations: they are this machine's paths."""
    for file in folder.rglob("*.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.pop("_name_or_path", None) is not None:
            file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def saved_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a folder that `save` wrote, float32, by the names of `Nets`."""
    parts = {
        "t5": T5EncoderModel.from_pretrained(folder / "text_encoder_2"),
        "clip": CLIPTextModel.from_pretrained(folder / "text_encoder"),
        "transformer": FluxTransformer2DModel.from_pretrained(folder / "transformer"),
    }
    return {
        f"{prefix}.{name}": p.detach().float()
        for prefix, part in parts.items()
        for name, p in part.named_parameters()
    }


def load_grown(runs: Path, name: str, double: int = DOUBLE_BLOCKS) -> Nets:
    """The moving average of a checkpoint at full depth; a shallower one grows, with the same function."""
    state = run.load_checkpoint(runs / f"{name}.pt")
    if state is None:
        raise SystemExit(f"no checkpoint {name}.pt in {runs}; train it first")
    nets = Nets(double)
    load_parameters(nets, grow(state["ema"], state["double"], double))
    return nets.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--name", default="distilled", help="checkpoint: flow, annealed or distilled")
    parser.add_argument("--vae", default="vae-robust", help="folder in runs of the autoencoder")
    parser.add_argument("--out", type=Path, default=FOLDER)
    args = parser.parse_args()
    vae = AutoencoderKL.from_pretrained(args.runs / args.vae)
    save(load_grown(args.runs, args.name), vae, args.out)
    size = sum(file.stat().st_size for file in args.out.rglob("*") if file.is_file())
    print(f"{args.out}: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
