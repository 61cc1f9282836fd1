"""Schedules as diffusers' pipelines make them, from the configuration that a model is published with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def scheduled(
    config: Mapping[str, Any], steps: int, *, mu: float | None = None, sigmas: Sequence[float] | None = None
) -> Tensor:
    """The (steps + 1,) sigmas from 1 to 0 of diffusers' ``FlowMatchEulerDiscreteScheduler``, float32.

    Args:
        config: of the scheduler, which shifts and stretches the schedule.
        steps: N.
        mu: the shift at this resolution; heeded where the configuration asks for a dynamic one.
        sigmas: what is shifted, N falling values; None takes the scheduler's own, whose last is not 1/N but the
            smallest that the model was trained on.
    """
    from diffusers import FlowMatchEulerDiscreteScheduler

    if steps == 1:
        # The one step there is, which diffusers cannot stretch to a terminal value: that divides 0 by 0.
        return torch.tensor([1.0, 0.0])
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(dict(config))
    scheduler.set_timesteps(steps, sigmas=sigmas, mu=mu if scheduler.config.use_dynamic_shifting else None)
    made: Tensor = scheduler.sigmas
    return made.to("cpu", torch.float32)


def even(steps: int) -> list[float]:
    """1, (N - 1)/N, ..., 1/N, as the pipelines write it."""
    return [float(sigma) for sigma in np.linspace(1.0, 1.0 / steps, steps)]


def resolution_mu(config: Mapping[str, Any], tokens: int, max_shift: float) -> float:
    """The shift that grows linearly with the number of image tokens (FLUX.1's rule, which others took over).

    Args:
        config: of the scheduler.
        tokens: of the image.
        max_shift: what the pipeline takes where the configuration does not say.
    """
    base_tokens, most_tokens = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    base, most = config.get("base_shift", 0.5), config.get("max_shift", max_shift)
    slope = (most - base) / (most_tokens - base_tokens)
    return float(tokens * slope + base - slope * base_tokens)
