"""What a step is, and who may watch it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from undrift.flow.velocity import image_from_velocity


@dataclass(frozen=True)
class Step:
    """One interval of a grid: number ``index`` of ``count``, from ``sigma`` to ``sigma_next``."""

    index: int
    count: int
    sigma: float
    sigma_next: float

    @property
    def inverting(self) -> bool:
        """True on the way to the noise."""
        return self.sigma_next > self.sigma

    @property
    def interval(self) -> int:
        """The interval's number counted from the noise end: the same for inversion and sampling of one grid."""
        return self.count - 1 - self.index if self.inverting else self.index


@dataclass(frozen=True)
class StepEnd:
    """A step that was taken.

    Attributes:
        step: which.
        x: the state at ``step.sigma_next``.
        velocity: the (controlled) velocity that led there.
        evaluations: network evaluations spent so far in this trajectory.
    """

    step: Step
    x: Tensor
    velocity: Tensor
    evaluations: int

    @property
    def image_estimate(self) -> Tensor:
        """Where the straight line through x ends at sigma 0: a preview of the latent."""
        return image_from_velocity(self.x, self.velocity, self.step.sigma_next)


class Observer:
    """Watches a trajectory. Override what is needed; raise ``undrift.errors.Cancelled`` to stop it."""

    def begin(self, step: Step) -> None:
        """Called before a step's first evaluation."""

    def end(self, event: StepEnd) -> None:
        """Called after the state has moved."""
