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
    identity = torch.eye(gram.shape[-1])
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
            stacks: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    update = self._momentum(p, group["momentum"])
                    stacks[update.shape[0], update.shape[1]].append((p, update))
            for (rows, columns), members in stacks.items():
                updates = orthogonalise(torch.stack([update for _, update in members]))
                scale = group["lr"] * max(1.0, rows / columns) ** 0.5
                for (p, _), update in zip(members, updates, strict=True):
                    p.add_(update.view(p.shape), alpha=-scale)

    def _momentum(self, p: nn.Parameter, momentum: float) -> Tensor:
        assert p.grad is not None
        state = self.state[p]
        if "buffer" not in state:
            state["buffer"] = torch.zeros_like(p, memory_format=torch.contiguous_format)
        buffer: Tensor = state["buffer"]
        grad = p.grad.contiguous()
        buffer.lerp_(grad, 1 - momentum)
        return torch.lerp(grad, buffer, momentum).reshape(p.shape[0], -1)


def set_lr(optimisers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Scale the learning rate of every group to `factor` times the rate it was created with."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = factor * group.setdefault("peak_lr", group["lr"])
