"""Velocity fields and what one velocity says about the image and the noise.

The path is x = (1 - sigma) x0 + sigma e with sigma 0 at the image and 1 at the noise, so the velocity is
v = dx/dsigma = e - x0 (rectified flow: Liu et al. 2022, arXiv 2209.03003; Lipman et al. 2022, arXiv 2210.02747).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from undrift.errors import InputError

VelocityField = Callable[[Tensor, float], Tensor]
"""``(x, sigma) -> velocity`` of the same shape as x. A field made of other fields names them in an attribute
``parts``, so that those of them that follow the steps hear of them (``undrift.flow.step``)."""


def interpolate(image: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """x = (1 - sigma) image + sigma noise, elementwise."""
    return (1.0 - sigma) * image + sigma * noise


def renoised(x: Tensor, noise: Tensor, sigma: float, noisier: float) -> Tensor:
    """A state at ``sigma`` carried back to ``noisier`` by fresh noise, distributed as the path is there:

        a x + b noise,  a = (1 - noisier) / (1 - sigma),  b = sqrt(noisier^2 - (a sigma)^2)

    The image keeps the path's weight 1 - noisier, and the variances of old and new noise add up to noisier^2.

    Raises:
        InputError: not 0 <= sigma <= noisier <= 1, or sigma is 1, where nothing of an image is left.
    """
    if not 0.0 <= sigma <= noisier <= 1.0 or sigma == 1.0:
        raise InputError(f"noising goes from {sigma} to {noisier}, expected 0 <= from <= to <= 1 and from < 1")
    kept = (1.0 - noisier) / (1.0 - sigma)
    return kept * x + math.sqrt(max(0.0, noisier**2 - (kept * sigma) ** 2)) * noise


def image_from_velocity(x: Tensor, velocity: Tensor, sigma: float) -> Tensor:
    """x0 = x - sigma v: the image at the end of the straight line through x."""
    return x - sigma * velocity


def noise_from_velocity(x: Tensor, velocity: Tensor, sigma: float) -> Tensor:
    """e = x + (1 - sigma) v: the noise at the start of the straight line through x."""
    return x + (1.0 - sigma) * velocity


def velocity_towards(anchor: Tensor, x: Tensor, remaining: float) -> Tensor:
    """(anchor - x) / remaining: the constant velocity that meets ``anchor`` after ``remaining`` of sigma.

    ``remaining`` is signed, sigma_anchor - sigma: negative while sampling (towards an image at sigma 0),
    positive while inverting (towards noise at sigma 1).

    Raises:
        InputError: ``remaining`` is zero, where no finite velocity exists.
    """
    if remaining == 0.0:
        raise InputError("remaining is 0: the anchor lies at the current sigma, no velocity leads there")
    return (anchor - x) / remaining
