"""What a step is, who may watch it, and who hears of it without being registered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from undrift.errors import InputError
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
    """

    step: Step
    x: Tensor
    velocity: Tensor

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


class Follower(Observer):
    """An observer that works by the step under way: a velocity field or a controller whose formula has the index.

    ``integrate`` tells its field and its controller of every step, so there is nothing to register. What such a
    field is wrapped in names it in ``parts`` (see ``Listeners``). A step that has ended is forgotten, so that an
    integration which does not tell of its own is not answered by the last of another.
    """

    _step: Step | None = None

    def begin(self, step: Step) -> None:
        self._step = step

    def end(self, event: StepEnd) -> None:
        self._step = None

    @property
    def step(self) -> Step:
        """The step under way.

        Raises:
            InputError: no integration has told of one.
        """
        if self._step is None:
            raise InputError(
                f"{type(self).__name__} works by the step under way and was told of none: hand it to integrate, "
                "name it in `parts` of what it is wrapped in, or, if it is a tap, install it around integrate"
            )
        return self._step


_FOLLOWING: ContextVar[tuple[object, ...]] = ContextVar("following", default=())


@contextmanager
def following(*listeners: object) -> Iterator[None]:
    """Every integration within the block tells ``listeners`` of its steps, whatever its field is made of."""
    token = _FOLLOWING.set((*_FOLLOWING.get(), *listeners))
    try:
        yield
    finally:
        _FOLLOWING.reset(token)


class Listeners:
    """Everything that hears of the steps of one integration, each once and in this order.

    The field and the controller, what ``following`` was given, then the observers; of each also what its attribute
    ``parts`` names, where it has one. Whatever has a method ``begin`` or ``end`` is told.
    """

    def __init__(self, field: object, controller: object, observers: Iterable[object]) -> None:
        heard = {id(one): one for one in _with_parts((field, controller, *_FOLLOWING.get(), *observers))}
        self._begin = [one.begin for one in heard.values() if hasattr(one, "begin")]
        self._end = [one.end for one in heard.values() if hasattr(one, "end")]

    def begin(self, step: Step) -> None:
        """Tell of a step that is about to be taken."""
        for told in self._begin:
            told(step)

    def end(self, event: StepEnd) -> None:
        """Tell of a step that was taken."""
        for told in self._end:
            told(event)


def _with_parts(roots: Iterable[object]) -> Iterator[Any]:
    for root in roots:
        yield root
        yield from _with_parts(getattr(root, "parts", ()))
