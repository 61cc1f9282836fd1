"""One training step as a CUDA graph: hundreds of small kernels without a Python call between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM = 4
"""Ordinary steps before the capture; they compile what is compiled and make the optimisers' state."""


class Repeated:
    """A step that is captured on a GPU and replayed from then on; elsewhere it is simply called.

    Args:
        step: Does everything of one update without a look at the host, and gives its loss.
        device: Where.
        generators: Random states of the step other than the default one.
    """

    def __init__(
        self, step: Callable[[], Tensor], device: torch.device, generators: Sequence[torch.Generator] = ()
    ) -> None:
        self._step, self._graph = step, None
        if device.type != "cuda":
            return
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM):
                step()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        try:
            with torch.cuda.graph(graph):
                self._loss = step()
        except RuntimeError as error:
            print("not captured, goes on step by step:", str(error).splitlines()[0], flush=True)
            torch.cuda.synchronize()
            return
        self._graph = graph

    def __call__(self) -> Tensor:
        """One more step; the loss before it, valid until the next one."""
        if self._graph is None:
            return self._step()
        self._graph.replay()
        return self._loss


def alternate(
    steps: Sequence[Callable[[], Tensor]],
    seconds: float,
    before: Callable[[int, float], None],
    log: Callable[[int, float, list[float]], None],
    every: int = 250,
) -> int:
    """Take the steps in turn for some seconds.

    Args:
        steps: One round.
        seconds: Time for all rounds.
        before: Called with the rounds so far and the progress (0 to 1) before every round.
        log: Called with the rounds so far, the progress and the mean loss of every step since the last call.
        every: Rounds between two logs.

    Returns:
        The rounds.
    """
    start, rounds = time.monotonic(), 0
    totals: list[Tensor | float] = [0.0] * len(steps)
    while (progress := (time.monotonic() - start) / seconds) < 1:
        before(rounds, progress)
        # A captured step writes its loss to one place again and again, so the sum is taken at once.
        totals = [total + step() for total, step in zip(totals, steps, strict=True)]
        rounds += 1
        if rounds % 20 == 0 and torch.cuda.is_available():
            torch.cuda.synchronize()  # the clock of the rate is the host's
        if rounds % every == 0:
            log(rounds, progress, [float(total) / every for total in totals])
            totals = [0.0] * len(steps)
    return rounds
