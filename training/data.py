"""Training pictures: scenes drawn from seeds below the held-out range, as tensors."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from undrift.littleworld import captions, render, scenes

HELD_OUT = 10_000_000
"""Seeds from here on are never trained on."""

SIZE = 128


def scene(seed: int) -> scenes.Scene:
    """The scene of a seed."""
    return scenes.sample_scene(random.Random(seed))


def picture(seed: int) -> np.ndarray:
    """The picture of a seed, uint8 of shape (128, 128, 3)."""
    return np.asarray(render.render(scene(seed), size=SIZE))


def pictures(seeds: range) -> Tensor:
    """A batch in [-1, 1] of shape (len(seeds), 3, 128, 128), channels last in memory."""
    array = np.stack([picture(seed) for seed in seeds])
    return torch.from_numpy(array).permute(0, 3, 1, 2).float() / 127.5 - 1


def text(seed: int) -> str:
    """The caption of a seed."""
    return captions.caption(scene(seed))
