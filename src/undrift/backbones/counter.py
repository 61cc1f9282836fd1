"""How often a network was asked: counted where it runs, so that nothing that wraps it can miss a call."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Counter:
    """What a backbone's network has been asked so far. It only grows: who wants a part of it takes a difference.

    Attributes:
        evaluations: calls of the network, whatever their batch (NFE).
        rows: rows of the batches of all calls.
        backward_passes: gradients that were taken through a call.
    """

    evaluations: int = 0
    rows: int = 0
    backward_passes: int = 0

    def add(self, rows: int, evaluations: int = 1) -> None:
        """Count ``evaluations`` calls with ``rows`` rows each."""
        self.evaluations += evaluations
        self.rows += rows * evaluations

    def copy(self) -> Counter:
        """The counts as they are now."""
        return Counter(self.evaluations, self.rows, self.backward_passes)

    def since(self, before: Counter) -> Counter:
        """What was counted since a copy was taken."""
        calls, rows = self.evaluations - before.evaluations, self.rows - before.rows
        return Counter(calls, rows, self.backward_passes - before.backward_passes)

    def add_backward(self, gradient: Tensor) -> None:
        """Count a backward pass: a hook for the velocity that it starts from."""
        self.backward_passes += 1
