"""Distils guidance into the network: `python -m training.distill --minutes 14`.

Two evaluations of the trained flow, v_empty + g (v_caption - v_empty), become one of a student that is told g through
FLUX's guidance embedding (Meng et al., "On Distillation of Guided Diffusion Models", 2023), as in FLUX.1-dev.
"""

from __future__ import annotations

import copy
import functools
import math
from pathlib import Path

import torch
from torch import Tensor

from training import run
from training.flow import Dataset, Trainer, arguments, sample_sigmas, train, weighted
from training.nets import Nets
from training.sample import load

LEAST, MOST = 1.0, 5.0
"""Range of guidance values that the student learns; 1 is the plain conditional velocity."""
NAME = "distilled"
"""Of the checkpoint and the log."""
SCALE = 0.2
"""Learning rates relative to those of the flow: the student should not be shaken off its teacher."""
PLAIN = 0.2
"""Share of samples at guidance 1, where methods evaluate what the picture is; there the student is its teacher."""


class Distiller(Trainer):
    """Trains a copy of the teacher, which stays as it is.

    Args:
        teacher: Trained without guidance values.
    """

    def __init__(self, teacher: Nets) -> None:
        super().__init__(copy.deepcopy(teacher).train(), SCALE, seed=1)
        ignore_guidance(self.nets)
        self.teacher = teacher.eval().requires_grad_(False)

    def loss(self, dataset: Dataset, size: int) -> Tensor:
        """Mean squared difference between one evaluation and the guided two at random guidance g, over g^2.

        What guidance adds grows with g and so does the error of having learned it; unweighted, the largest values
        would decide alone.
        """
        x0, t5_ids, clip_ids, parts, _ = dataset.batch(size, self.generator)
        sigma = sample_sigmas(size, self.generator)
        noise = torch.randn(x0.shape, generator=self.generator, device=x0.device)
        guidance = sample_guidance(size, self.generator)
        x = torch.lerp(x0, noise, sigma[:, None, None])
        target = guided(self.teacher, dataset, (x, sigma, t5_ids, clip_ids), guidance)
        error = self.nets(x, sigma, t5_ids, clip_ids, guidance) - target
        return weighted(error / guidance[:, None, None], parts)


def sample_guidance(count: int, generator: torch.Generator) -> Tensor:
    """Guidance values, (count,): 1 with probability `PLAIN`, else uniform in the logarithm up to `MOST`."""
    device = generator.device
    log = torch.rand(count, generator=generator, device=device) * math.log(MOST / LEAST)
    plain = torch.rand(count, generator=generator, device=device) < PLAIN
    return LEAST * torch.where(plain, 0.0, log).exp()


@torch.no_grad()
def ignore_guidance(nets: Nets) -> None:
    """Make the velocity at every guidance value what it is at 1, the only value seen so far.

    The embedding of an unseen value is arbitrary; from a constant one the student starts at the plain velocity.
    """
    embed = nets.transformer.time_text_embed
    thousand = torch.full((1,), 1000.0, device=embed.guidance_embedder.linear_1.weight.device)
    constant = embed.guidance_embedder(embed.time_proj(thousand))[0]
    embed.guidance_embedder.linear_2.weight.zero_()
    embed.guidance_embedder.linear_2.bias.copy_(constant)


@torch.no_grad()
def guided(
    teacher: Nets, dataset: Dataset, inputs: tuple[Tensor, Tensor, Tensor, Tensor], guidance: Tensor
) -> Tensor:
    """The teacher's two evaluations, v_empty + guidance (v_caption - v_empty), (batch, 64, 32)."""
    x, sigma, t5_ids, clip_ids = inputs
    no_t5, no_clip = dataset.t5_ids[:1].expand_as(t5_ids), dataset.clip_ids[:1].expand_as(clip_ids)
    both = torch.cat([x, x]), torch.cat([sigma, sigma]), torch.cat([t5_ids, no_t5]), torch.cat([clip_ids, no_clip])
    conditional, empty = teacher(*both, torch.ones_like(both[1])).chunk(2)
    velocity: Tensor = empty + guidance[:, None, None] * (conditional - empty)
    return velocity


@torch.no_grad()
def agreement(student: Nets, teacher: Nets, dataset: Dataset, guidance: float, count: int = 128) -> dict[str, float]:
    """How well one evaluation stands in for two, on the dataset.

    Returns:
        `error`: mean squared difference of student and guided teacher over the variance of the guided velocity;
        `gap`: the same for the unguided teacher, the error of not guiding at all.
    """
    generator = torch.Generator(dataset.t5_ids.device).manual_seed(2)
    x0, t5_ids, clip_ids, _, _ = dataset.batch(count, generator)
    sigma = sample_sigmas(count, generator)
    noise = torch.randn(x0.shape, generator=generator, device=x0.device)
    x = torch.lerp(x0, noise, sigma[:, None, None])
    value = torch.full_like(sigma, guidance)
    target = guided(teacher, dataset, (x, sigma, t5_ids, clip_ids), value)
    one = student(x, sigma, t5_ids, clip_ids, value)
    plain = teacher(x, sigma, t5_ids, clip_ids, torch.ones_like(sigma))
    scale = target.var()
    return {
        "error": float((one - target).square().mean() / scale),
        "gap": float((plain - target).square().mean() / scale),
    }


def make_distiller(runs: Path, teacher: str, compiled: bool) -> Distiller:
    """A distiller of the trained flow of a checkpoint."""
    distiller = Distiller(load(runs, teacher))
    if compiled:
        distiller.nets.compile_blocks()
        distiller.teacher.compile_blocks()
    return distiller


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--teacher", default="annealed", help="checkpoint of the flow")
    args = parser.parse_args()
    run.prepare(args.threads)
    train(functools.partial(make_distiller, args.runs, args.teacher, args.compile), NAME, args, anneal=NAME)


if __name__ == "__main__":
    main()
