"""Pure mathematics of flow matching: schedules, velocities, solvers, control and the one integration loop."""

from undrift.flow.control import CONTROL_TIMES, LQR, Controller, combine_anchors
from undrift.flow.integrate import Trajectory, integrate
from undrift.flow.schedule import ResolutionShift, inverted, linear_sigmas, shift_sigmas, shifted_sigmas
from undrift.flow.solvers import (
    Euler,
    Heun,
    LateNoise,
    Midpoint,
    ReusedImplicitEuler,
    ReusedMidpoint,
    Solver,
    evaluations,
)
from undrift.flow.step import Follower, Observer, Step, StepEnd, following
from undrift.flow.velocity import (
    VelocityField,
    image_from_velocity,
    interpolate,
    noise_from_velocity,
    renoised,
    velocity_towards,
)

__all__ = [
    "CONTROL_TIMES",
    "LQR",
    "Controller",
    "Euler",
    "Follower",
    "Heun",
    "LateNoise",
    "Midpoint",
    "Observer",
    "ResolutionShift",
    "ReusedImplicitEuler",
    "ReusedMidpoint",
    "Solver",
    "Step",
    "StepEnd",
    "Trajectory",
    "VelocityField",
    "combine_anchors",
    "evaluations",
    "following",
    "image_from_velocity",
    "integrate",
    "interpolate",
    "inverted",
    "linear_sigmas",
    "noise_from_velocity",
    "renoised",
    "shift_sigmas",
    "shifted_sigmas",
    "velocity_towards",
]
