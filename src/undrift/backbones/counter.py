"""How often a network was asked: counted where it runs, so that nothing that wraps it can miss a call."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

from torch import Tensor


@dataclass
class Counter:
    """What a backbone's network has been asked so far. It only grows: who wants a part of it takes a difference.

    Attributes:
        evaluations: calls of the network, whatever their batch (NFE).
        rows: rows of the batches of all calls.
        tokens: image tokens of all rows of all calls: fewer than rows times those of a picture where an evaluation
            is of some of them alone.
        backward_passes: gradients that were taken through a call.
        remembered: those of the evaluations whose answer was known (``Backbone.memory``): they cost no time.
    """

    evaluations: int = 0
    rows: int = 0
    tokens: int = 0
    backward_passes: int = 0
    remembered: int = 0

    @property
    def computed(self) -> int:
        """The evaluations that were not remembered."""
        return self.evaluations - self.remembered

    def add(self, rows: int, evaluations: int = 1, *, tokens: int = 0, remembered: bool = False) -> None:
        """Count ``evaluations`` calls with ``rows`` rows of ``tokens`` image tokens each."""
        self.evaluations += evaluations
        self.rows += rows * evaluations
        self.tokens += rows * evaluations * tokens
        self.remembered += evaluations if remembered else 0

    def take(self, other: Counter) -> None:
        """Count what another one has counted."""
        self.evaluations += other.evaluations
        self.rows += other.rows
        self.tokens += other.tokens
        self.backward_passes += other.backward_passes
        self.remembered += other.remembered

    def copy(self) -> Counter:
        """The counts as they are now."""
        return replace(self)

    def since(self, before: Counter) -> Counter:
        """What was counted since a copy was taken."""
        now, then = astuple(self), astuple(before)
        return Counter(*(after - earlier for after, earlier in zip(now, then, strict=True)))

    def add_backward(self, gradient: Tensor) -> None:
        """Count a backward pass: a hook for the velocity that it starts from."""
        self.backward_passes += 1
