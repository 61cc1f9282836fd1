"""The only loop: x <- x + h * velocity over a grid of sigmas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undrift.errors import InputError
from undrift.flow.control import Controller
from undrift.flow.solvers import Carry, Solver
from undrift.flow.step import Listeners, Observer, Step, StepEnd
from undrift.flow.velocity import VelocityField


@dataclass(frozen=True)
class Trajectory:
    """What ``integrate`` returns.

    Attributes:
        final: the state at the last sigma, shape of the start.
        calls: of the field. What they cost is the network's to count (``undrift.backbones.base.Backbone.counter``).
        states: all N+1 states in the order of the grid if they were recorded, else empty.
    """

    final: Tensor
    calls: int
    states: tuple[Tensor, ...] = ()


class CountedField:
    """A field that counts its calls.

    Velocities leave it in the dtype of x: a half-precision velocity is widened before anything is added to it.
    """

    def __init__(self, field: VelocityField) -> None:
        self._field = field
        self.calls = 0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls += 1
        return self._field(x, sigma).to(x.dtype)


def integrate(
    field: VelocityField,
    solver: Solver,
    x: Tensor,
    sigmas: Tensor,
    *,
    controller: Controller | None = None,
    observers: Sequence[Observer] = (),
    record: bool = False,
) -> Trajectory:
    """Carry ``x`` along dx/dsigma = v(x, sigma) from the first to the last of ``sigmas``.

    Each step is x <- x + (sigma_next - sigma) * adjust(increment): the solver proposes a velocity, the
    controller may bend it, the observers see it. The state is float32 (or float64 if x is) whatever the
    network computes in, because half-precision sums drift over many steps.

    A field and a controller that follow the steps hear of them by themselves, and so do the taps that are
    installed on a backbone (see ``undrift.flow.step.Listeners``).

    Args:
        field: the velocity field.
        solver: which increment to take.
        x: the start, any shape.
        sigmas: (N+1,) strictly falling (sampling) or strictly rising (inversion).
        controller: bends the velocity of each step; None leaves it.
        observers: told before and after every step; one that raises (``Cancelled``, say) ends the loop at once.
        record: keep every state.

    Raises:
        InputError: the grid has fewer than two sigmas or is not strictly monotone.
    """
    grid = _checked_grid(sigmas)
    counted = CountedField(field)
    state = x.to(torch.promote_types(x.dtype, torch.float32))
    states = [state] if record else []
    listeners = Listeners(field, controller, observers)
    carry: Carry = None
    for index, (sigma, sigma_next) in enumerate(zip(grid, grid[1:], strict=False)):
        step = Step(index=index, count=len(grid) - 1, sigma=sigma, sigma_next=sigma_next)
        listeners.begin(step)
        velocity, carry = solver.increment(counted, state, sigma, sigma_next, carry)
        if controller is not None:
            velocity = controller.adjust(state, velocity, step)
        state = state + (sigma_next - sigma) * velocity
        if record:
            states.append(state)
        listeners.end(StepEnd(step=step, x=state, velocity=velocity))
    return Trajectory(final=state, calls=counted.calls, states=tuple(states))


def _checked_grid(sigmas: Tensor) -> list[float]:
    grid = [float(s) for s in sigmas.to(torch.float64)]
    steps = [b - a for a, b in zip(grid, grid[1:], strict=False)]
    if not steps or not (all(s > 0 for s in steps) or all(s < 0 for s in steps)):
        raise InputError(f"sigmas must be at least two strictly rising or falling numbers, got {grid}")
    return grid
