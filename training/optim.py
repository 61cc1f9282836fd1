"""The optimiser pair of the training: Muon for matrices and convolutions, AdamW for everything else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrices: Tensor, iterations: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices, by Newton-Schulz iteration (Jordan et al., "Muon", 2024).

    Works in float32 on whole stacks: `torch.optim.Muon` iterates in bfloat16, one matrix at a time, which is
    several times slower on a CPU without bfloat16 units.

    Args:
        matrices: Stack of shape (count, rows, columns).
        iterations: Newton-Schulz steps.

    Returns:
        Tensor of the same shape with singular values near 1.
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x: Tensor = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    # Every iterate is a polynomial of the Gram matrix times x, so that the small square factor suffices.
    gram = x @ x.mT
    identity = torch.eye(gram.shape[-1], device=gram.device)
    product = a * identity + b * gram + c * (gram @ gram)
    polynomial = product
    for _ in range(iterations - 1):
        gram = polynomial @ (polynomial @ gram)
        polynomial = a * identity + b * gram + c * (gram @ gram)
        product = polynomial @ product
    x = product @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised, for weights seen as matrices (rows, everything else).

    The step has spectral norm `lr * sqrt(max(1, rows / columns))`.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Apply one update; matrices of one shape are orthogonalised together."""
        for group in self.param_groups:
            stacks: dict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    stacks[p.shape[0], p[0].numel()].append(p)
            for (rows, columns), members in stacks.items():
                updates = [update.reshape(rows, columns) for update in self._momentum(members, group["momentum"])]
                scale = group["lr"] * max(1.0, rows / columns) ** 0.5
                moves = orthogonalise(torch.stack(updates)) * scale
                shaped = [move.view(p.shape) for p, move in zip(members, moves.unbind(), strict=True)]
                torch._foreach_sub_([*members], shaped)

    def _momentum(self, members: list[nn.Parameter], momentum: float) -> list[Tensor]:
        """Nesterov's look ahead: the gradients, drawn to their running means."""
        grads = [p.grad.contiguous() for p in members if p.grad is not None]
        for p in members:
            if "buffer" not in self.state[p]:
                self.state[p]["buffer"] = torch.zeros_like(p, memory_format=torch.contiguous_format)
        buffers = [self.state[p]["buffer"] for p in members]
        torch._foreach_lerp_(buffers, grads, 1 - momentum)
        return list(torch._foreach_lerp(grads, buffers, momentum))


def adamw(groups: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.95)) -> torch.optim.AdamW:
    """AdamW without decay; on a GPU such that a CUDA graph can hold it.

    Args:
        groups: Parameters, or groups of them with their own "lr".
        lr: Of groups without one.
        betas: Of the running means.
    """
    groups = list(groups)
    groups = groups if isinstance(groups[0], dict) else [{"params": groups}]
    graphed = groups[0]["params"][0].is_cuda
    return torch.optim.AdamW(groups, lr, betas=betas, weight_decay=0.0, capturable=graphed, fused=graphed or None)


def set_lr(optimisers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Scale the learning rate of every group to `factor` times the rate it was created with.

    On a GPU the rate is a tensor that keeps its place, because a captured step reads it there.
    """
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            peak = group.setdefault("peak_lr", float(group["lr"]))
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(factor * peak)
            elif group["params"][0].is_cuda:
                group["lr"] = torch.tensor(factor * peak, device=group["params"][0].device)
            else:
                group["lr"] = factor * peak
