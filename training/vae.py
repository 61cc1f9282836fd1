"""Trains the autoencoder of LittleWorld: `python -m training.vae --minutes 25`.

The encoder is frozen after this part. `--decoder` then goes on training the decoder alone on noisy latents.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from training import data, run
from training.optim import Muon, adamw, set_lr

CHANNELS = (8, 16, 32, 96)
LATENT_CHANNELS = 8
BATCH = 4
KL_WEIGHT = 1e-3
LATENT_NOISE = 0.1
"""Standard deviation of the noise on unit-variance latents while the decoder is trained alone."""


def build() -> AutoencoderKL:
    """An untrained autoencoder: 128 x 128 pictures to 8 x 16 x 16 latents."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(CHANNELS),
        up_block_types=("UpDecoderBlock2D",) * len(CHANNELS),
        block_out_channels=CHANNELS,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=4,
        sample_size=data.SIZE,
        scaling_factor=1.0,
        shift_factor=0.0,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
    ).to(memory_format=torch.channels_last)


def optimisers(module: nn.Module, muon_lr: float = 0.02, adam_lr: float = 2e-3) -> list[torch.optim.Optimizer]:
    """Muon for the inner convolutions, AdamW for the first and last ones and for all vectors."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, p in module.named_parameters():
        outer = name.endswith(("encoder.conv_in.weight", "decoder.conv_out.weight"))
        (matrices if p.ndim == 4 and not outer else rest).append(p)
    return [Muon(matrices, muon_lr), adamw(rest, adam_lr)]


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 + 4 MSE on the [-1, 1] scale."""
    error = output - target
    return error.abs().mean() + 4 * error.square().mean()


def psnr(output: Tensor, target: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [-1, 1], mean over the pictures."""
    mse = (output.clamp(-1, 1) - target).square().mean(dim=(1, 2, 3)) / 4
    return float((-10 * mse.log10()).mean())


@torch.no_grad()
def held_out_psnr(vae: AutoencoderKL, count: int = 32) -> float:
    """Round trip on held-out pictures through the latent mean."""
    x = channels_last(range(data.HELD_OUT, data.HELD_OUT + count))
    return psnr(vae.decode(vae.encode(x).latent_dist.mode()).sample, x)


def channels_last(seeds: range) -> Tensor:
    return data.pictures(seeds).contiguous(memory_format=torch.channels_last)


def whole_loss(vae: AutoencoderKL, x: Tensor) -> Tensor:
    """Reconstruction through a sampled latent plus a small KL term."""
    posterior = vae.encode(x).latent_dist
    kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
    latent = posterior.mean + posterior.std * torch.randn_like(posterior.std)
    loss: Tensor = reconstruction_loss(vae.decode(latent).sample, x) + KL_WEIGHT * kl
    return loss


def decoder_loss(vae: AutoencoderKL, x: Tensor) -> Tensor:
    """Reconstruction from the frozen encoder's latent mean with noise on half of the pictures."""
    with torch.no_grad():
        latent = vae.encode(x).latent_dist.mode()
        strength = LATENT_NOISE * torch.rand(len(x), 1, 1, 1)
        latent = latent + strength * torch.randn_like(latent)
    return reconstruction_loss(vae.decode(latent).sample, x)


@torch.no_grad()
def latent_means(vae: AutoencoderKL, count: int = 512) -> Tensor:
    """Latents of the first pictures, (count, 8, 16, 16)."""
    return torch.cat([vae.encode(channels_last(range(s, s + 16))).latent_dist.mode() for s in range(0, count, 16)])


@torch.no_grad()
def standardise(vae: AutoencoderKL, latents: Tensor) -> None:
    """Fold the per-channel mean and deviation of the latents into the weights, so that latents have unit variance.

    The last encoder convolution is divided and the first decoder convolution multiplied. The shift is exact but
    for the border of the latent, where the decoder convolution pads with zeros.
    """
    mean, std = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    out, into = vae.encoder.conv_out, vae.decoder.conv_in
    out.bias[:LATENT_CHANNELS].sub_(mean)
    out.bias[LATENT_CHANNELS:].sub_(2 * std.log())
    out.bias[:LATENT_CHANNELS].div_(std)
    out.weight[:LATENT_CHANNELS].div_(std[:, None, None, None])
    into.bias.add_((into.weight.sum(dim=(2, 3)) * mean).sum(1))
    into.weight.mul_(std[:, None, None])


def train(runs: Path, minutes: float, total: float, decoder: bool) -> AutoencoderKL:
    """Go on for `minutes` of a budget of `total` minutes, from the last checkpoint if there is one.

    Args:
        runs: Folder of checkpoints and logs.
        minutes: Time for this invocation.
        total: Time over all invocations; the learning rate falls to zero at its end.
        decoder: Train the decoder alone.

    Returns:
        The autoencoder, also written as an ordinary folder `runs/vae` (or `runs/vae-decoder`).
    """
    name = "vae-decoder" if decoder else "vae"
    vae = AutoencoderKL.from_pretrained(runs / "vae") if decoder else build()
    vae = vae.to(memory_format=torch.channels_last).train()
    vae.encoder.requires_grad_(not decoder)
    loss_of = decoder_loss if decoder else whole_loss
    opts = optimisers(vae.decoder if decoder else vae, *((0.01, 1e-3) if decoder else (0.02, 2e-3)))
    start = 5_000_000 if decoder else 0
    state: dict[str, Any] = {"step": 0, "elapsed": 0.0}
    if saved := run.load_checkpoint(runs / f"{name}.pt"):
        state = {"step": saved["step"], "elapsed": saved["elapsed"]}
        vae.load_state_dict(saved["model"])
        for opt, opt_state in zip(opts, saved["optimisers"], strict=True):
            opt.load_state_dict(opt_state)
        torch.set_rng_state(saved["rng"])
    clock = run.Clock(state["elapsed"])
    end = min(total * 60, state["elapsed"] + minutes * 60)
    step, running, last_save = state["step"], 0.0, clock.elapsed

    def save() -> None:
        run.save_checkpoint(
            runs / f"{name}.pt",
            {
                "step": step,
                "elapsed": clock.elapsed,
                "model": vae.state_dict(),
                "optimisers": [opt.state_dict() for opt in opts],
                "rng": torch.get_rng_state(),
            },
        )

    while clock.elapsed < end:
        set_lr(opts, run.lr_factor(clock.elapsed / (total * 60), step))
        first = start + step * BATCH
        loss = loss_of(vae, channels_last(range(first, first + BATCH)))
        loss.backward()  # type: ignore[no-untyped-call]
        for opt in opts:
            opt.step()
            opt.zero_grad()
        step += 1
        running += loss.item()
        if step % 50 == 0:
            run.log(runs / f"{name}.jsonl", step=step, seconds=clock.elapsed, loss=running / 50)
            running = 0.0
        if clock.elapsed - last_save > 120:
            last_save = clock.elapsed
            save()
            run.log(runs / f"{name}.jsonl", step=step, psnr=held_out_psnr(vae))
    save()
    run.log(runs / f"{name}.jsonl", step=step, seconds=clock.elapsed, psnr=held_out_psnr(vae))
    if not decoder and clock.elapsed >= total * 60:
        standardise(vae, latent_means(vae))
        run.log(runs / f"{name}.jsonl", step=step, psnr_standardised=held_out_psnr(vae))
    vae.eval().save_pretrained(runs / name)
    return vae


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=25.0, help="time for this invocation")
    parser.add_argument("--total", type=float, default=None, help="time over all invocations")
    parser.add_argument("--decoder", action="store_true", help="train the decoder alone on the frozen encoder")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    run.prepare(args.threads)
    torch.manual_seed(0)
    args.runs.mkdir(parents=True, exist_ok=True)
    train(args.runs, args.minutes, args.total or args.minutes, args.decoder)


if __name__ == "__main__":
    main()
