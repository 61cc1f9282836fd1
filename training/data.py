"""Training pictures: scenes drawn from seeds below the held-out range, as tensors."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from undrift.littleworld import captions, render, scenes

HELD_OUT = 10_000_000
"""Seeds from here on are never trained on. They are scenes of the benchmark's plain world; see `rich_scene`."""

SIZE = 128


def scene(seed: int) -> scenes.Scene:
    """The scene of a seed: of the whole world to train on, of the plain one from `HELD_OUT` on."""
    return scenes.sample_scene(random.Random(seed)) if seed >= HELD_OUT else rich_scene(seed)


def rich_scene(seed: int) -> scenes.Scene:
    """A scene with pattern, pose and style, wherever the seed lies."""
    return scenes.sample_rich_scene(random.Random(seed))


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
