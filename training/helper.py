"""A second process that computes gradients for a trainer whenever it finds processor time.

It reads the weights from shared memory and leaves the gradient of its own random batch there; the trainer takes it
into its next step. Such a gradient is a step or two old, and the trainer never waits: on a busy machine a helper of
low priority costs nothing and uses what is left.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

import torch
import torch.multiprocessing as mp
from torch import Tensor, nn

from training import run

if TYPE_CHECKING:
    from training.flow import Dataset, Trainer

_FREE, _FULL, _STOP = 0, 1, 2
_ALIGN = 16


def attach(module: nn.Module, flat: Tensor | None = None) -> Tensor:
    """Make all parameters views into one shared buffer.

    Args:
        module: Its parameters are moved; their values are kept if `flat` is None, else they become those of `flat`.
        flat: Buffer that another process made for the same architecture.

    Returns:
        The buffer.
    """
    parameters = list(module.parameters())
    sizes = [-(-p.numel() // _ALIGN) * _ALIGN for p in parameters]
    buffer = _shared(sum(sizes)) if flat is None else flat
    for p, part in zip(parameters, torch.split(buffer, sizes), strict=True):
        view = part[: p.numel()].view(p.shape)
        if flat is None:
            view.copy_(p.data)
        p.data = view
    return buffer


def _shared(size: int) -> Tensor:
    buffer: Tensor = torch.zeros(size).share_memory_()  # type: ignore[no-untyped-call]
    return buffer


class Helper:
    """Runs `factory().loss` in a second process; use as a context manager.

    Args:
        trainer: Its weights are moved to shared memory.
        factory: Makes a trainer of the same architecture in the other process.
        datasets: Makes its dataset there.
        batch: Batch size.
        nice: Priority of the helper relative to this process.
    """

    def __init__(
        self,
        trainer: Trainer,
        factory: Callable[[], Trainer],
        datasets: Callable[[Trainer], Dataset],
        batch: int,
        nice: int,
    ) -> None:
        self.batch = batch
        self._parameters = list(trainer.nets.parameters())
        weights = attach(trainer.nets)
        self._gradients = _shared(weights.numel())
        self._sizes = [-(-p.numel() // _ALIGN) * _ALIGN for p in self._parameters]
        self._mail = _shared(1)
        seed = 1_000_000 + trainer.count
        self._process = mp.get_context("spawn").Process(
            target=_work,
            args=(factory, datasets, weights, self._gradients, self._mail, batch, nice, seed),
            daemon=True,
        )

    def collect(self) -> int:
        """Average a waiting gradient into the parameters' own; the number of samples behind it (0 if none waits)."""
        if int(self._mail[0]) != _FULL:
            return 0
        for p, part in zip(self._parameters, torch.split(self._gradients, self._sizes), strict=True):
            if p.grad is not None:
                p.grad.lerp_(part[: p.numel()].view(p.shape), 0.5)
        self._mail[0] = _FREE
        return self.batch

    def __enter__(self) -> Helper:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mail[0] = _STOP
        self._process.join(timeout=30)
        self._process.terminate()


def _work(
    factory: Callable[[], Trainer],
    datasets: Callable[[Trainer], Dataset],
    weights: Tensor,
    gradients: Tensor,
    mail: Tensor,
    batch: int,
    nice: int,
    seed: int,
) -> None:
    parent = os.getppid()
    os.nice(nice)
    run.prepare(1)
    trainer = factory()
    trainer.generator.manual_seed(seed)
    attach(trainer.nets, weights)
    dataset = datasets(trainer)
    parameters = list(trainer.nets.parameters())
    parts = torch.split(gradients, [-(-p.numel() // _ALIGN) * _ALIGN for p in parameters])
    while int(mail[0]) != _STOP and os.getppid() == parent:
        trainer.loss(dataset, batch).backward()  # type: ignore[no-untyped-call]
        while int(mail[0]) == _FULL and os.getppid() == parent:
            time.sleep(0.005)
        for p, part in zip(parameters, parts, strict=True):
            if p.grad is not None:
                part[: p.numel()].view(p.shape).copy_(p.grad)
        trainer.nets.zero_grad()
        if int(mail[0]) == _FREE:
            mail[0] = _FULL
