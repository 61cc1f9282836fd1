"""Trains the flow, distils it and trains the UNet, from what `prepare` wrote: `python -m training.gpu.learn`.

Without `--start` and `--unet` they start from nothing. A stage that is given no seconds is left out; the
distillation then takes the flow that an earlier call left in the same folder.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training import distill, flow, latents, oracle, unet
from training.gpu.graph import Repeated, alternate
from training.gpu.prepare import say
from training.nets import DOUBLE_BLOCKS, WIDTH, Nets
from training.save import saved_weights
from training.unet_nets import ALIGN_WIDTH, UNetNets

BATCHES = (128, 36)
"""Small and large pictures in a step of the flow, about as many tokens."""
ROUND = (0, 0, 0, 1)
"""Sizes of the steps of one round."""
UNET_BATCH = 256
ANNEAL_FROM = 0.55
"""Share of the flow's time after which the rate falls."""


def load(path: Path, device: torch.device) -> flow.Dataset:
    """What `prepare` wrote, on the device."""
    with np.load(path) as found:
        arrays = {name: torch.from_numpy(found[name]).to(device) for name in found.files}
    scenes = latents.Shard(arrays["packed"], arrays["parts"], arrays["labels"])
    return flow.Dataset(scenes, arrays["t5_ids"], arrays["clip_ids"])


def step(trainer: flow.Trainer, dataset: flow.Dataset, size: int) -> Tensor:
    """One update in bfloat16; the loss before it."""
    with torch.autocast(trainer.rate.device.type, torch.bfloat16):
        loss = trainer.loss(dataset, size)
    loss.backward()  # type: ignore[no-untyped-call]
    trainer.update()
    return loss.detach()


def train(
    trainer: flow.Trainer,
    data: Mapping[int, tuple[flow.Dataset, int]],
    order: tuple[int, ...],
    seconds: float,
    rate: Callable[[float], float],
    name: str,
) -> None:
    """Repeat rounds of steps on datasets of several sizes for some seconds.

    Args:
        trainer: Of any of the networks.
        data: Dataset and batch size by place.
        order: Places of one round.
        seconds: Time, the capture not included.
        rate: Factor of the learning rates by progress.
        name: For the log.
    """
    device = trainer.rate.device
    trainer.set_rate(0.02)
    captured = {
        place: Repeated(
            lambda dataset=dataset, size=size: step(trainer, dataset, size),  # type: ignore[misc]
            device,
            [trainer.generator],
        )
        for place, (dataset, size) in data.items()
    }
    say(name, captured={place: milliseconds(repeated) for place, repeated in captured.items()})

    def log(rounds: int, progress: float, losses: list[float]) -> None:
        trainer.count = rounds * len(order)
        trainer.samples = rounds * sum(data[place][1] for place in order)
        say(name, samples=trainer.samples, progress=progress, losses=losses)

    def before(rounds: int, progress: float) -> None:
        trainer.set_rate(max(0.01, min(1.0, (1 + rounds) / 30, rate(progress))))

    rounds = alternate([captured[place] for place in order], seconds, before, log, every=100)
    log(rounds, 1.0, [])


def milliseconds(repeated: Repeated, count: int = 20) -> float:
    """Time of a step."""
    start = time.monotonic()
    for _ in range(count):
        loss = repeated()
    float(loss)
    return 1000 * (time.monotonic() - start) / count


def save(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write weights in float16, small enough to be carried."""
    save_file({name: value.detach().half().cpu().contiguous() for name, value in weights.items()}, path)
    say("saved", path=path.name, megabytes=path.stat().st_size / 2**20)


def train_flow(
    data: Mapping[int, tuple[flow.Dataset, int]], seconds: float, compiled: bool, start: Path | None, out: Path
) -> None:
    """At a constant rate and then a falling one, from the weights of a pipeline's folder or from nothing."""
    torch.manual_seed(0)
    device = data[0][0].t5_ids.device
    nets = Nets(DOUBLE_BLOCKS)
    if start is not None:
        flow.load_parameters(nets, saved_weights(start))
    nets.to(device)
    if compiled:
        nets.compile_blocks()
    trainer = flow.Trainer(nets)
    trainer.listen(oracle.FlowHead(WIDTH).to(device))
    constant = False

    def rate(progress: float) -> float:
        nonlocal constant
        if progress > ANNEAL_FROM and not constant:
            constant = True
            save(trainer.ema, out / "flow.safetensors")
        return min(1.0, (1 - progress) / (1 - ANNEAL_FROM))

    train(trainer, data, ROUND, seconds, rate, "flow")
    save(trainer.ema, out / "annealed.safetensors")


def train_student(data: Mapping[int, tuple[flow.Dataset, int]], seconds: float, compiled: bool, out: Path) -> None:
    """Guidance in one evaluation, from the flow in `out`."""
    teacher = Nets(DOUBLE_BLOCKS)
    flow.load_parameters(teacher, load_file(out / "annealed.safetensors"))
    distiller = distill.Distiller(teacher.to(data[0][0].t5_ids.device).eval())
    if compiled:
        distiller.nets.compile_blocks()
        distiller.teacher.compile_blocks()
    train(distiller, data, ROUND, seconds, lambda progress: 1 - progress, "distilled")
    save(distiller.ema, out / "distilled.safetensors")
    student = Nets(DOUBLE_BLOCKS).to(distiller.rate.device)
    flow.load_parameters(student, distiller.ema)
    for guidance in (1.0, 2.0, 3.0, 5.0):
        agreed = distill.agreement(student.eval(), distiller.teacher, data[0][0], guidance, 512)
        say("agreement", guidance=guidance, **agreed)


def avoid_faulty_attention() -> None:
    """Leave out the kernels whose gradient reads beyond its memory at these sizes (torch 2.11, H200)."""
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)


def train_unet(dataset: flow.Dataset, seconds: float, start: Path | None, out: Path) -> None:
    """The tiny Stable Diffusion on the same latents, from a file of weights or from nothing."""
    torch.manual_seed(0)
    device = dataset.t5_ids.device
    nets = UNetNets()
    if start is not None:
        flow.load_parameters(nets, load_file(start))
    trainer = unet.UNetTrainer(nets.to(device))
    trainer.listen(oracle.FlowHead(ALIGN_WIDTH).to(device))
    pictures = unet.Dataset(dataset.scenes, dataset.clip_ids)
    train(trainer, {0: (pictures, UNET_BATCH)}, (0,), seconds, lambda p: min(1.0, 2 * (1 - p)), "unet")  # type: ignore[dict-item]
    save(trainer.ema, out / "unet.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder that prepare wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights")
    parser.add_argument("--seconds", type=float, nargs=3, default=(300, 70, 30), metavar=("FLOW", "DISTIL", "UNET"))
    parser.add_argument("--start", type=Path, help="pipeline folder with the flow to go on from")
    parser.add_argument("--unet", type=Path, help="weights of the UNet to go on from")
    parser.add_argument("--compile", action="store_true", help="compile the blocks (a minute, then faster steps)")
    parser.add_argument("--batches", type=int, nargs=2, default=BATCHES, metavar=("SMALL", "LARGE"))
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    avoid_faulty_attention()
    # Flow, student and teacher, two sizes and with or without gradients share the code of their blocks.
    torch._dynamo.config.recompile_limit = 32
    device = torch.device(args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    sets = [load(args.work / f"{name}.npz", device) for name in ("small", "large")]
    data = dict(enumerate(zip(sets, args.batches, strict=True)))
    if args.seconds[0]:
        train_flow(data, args.seconds[0], args.compile, args.start, args.out)
    if args.seconds[1]:
        train_student(data, args.seconds[1], args.compile, args.out)
    if args.seconds[2]:
        train_unet(sets[0], args.seconds[2], args.unet, args.out)


if __name__ == "__main__":
    main()
