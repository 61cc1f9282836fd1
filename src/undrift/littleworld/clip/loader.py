"""Opens the trained small CLIP and applies it to pictures and captions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from undrift.errors import InputError, ModelError
from undrift.littleworld.clip.network import SIZE, LittleClip

WEIGHTS = Path(__file__).parent / "weights.safetensors"
"""Where the trained network lies."""
REPORT = Path(__file__).parent / "report.json"
"""What it reaches on held-out scenes."""


@torch.inference_mode()
def embed_pictures(pictures: Sequence[Image.Image]) -> Tensor:
    """Unit vectors, (N, WIDTH) float32.

    Raises:
        InputError: a picture is not 128 x 128.
        ModelError: the weights are missing.
    """
    return _trained().pictures(_tensor(pictures))


@torch.inference_mode()
def embed_texts(captions: Sequence[str]) -> Tensor:
    """Unit vectors, (N, WIDTH) float32.

    Raises:
        ModelError: the weights are missing.
    """
    return _trained().texts(captions)


@torch.inference_mode()
def stage_features(pictures: Sequence[Image.Image]) -> list[Tensor]:
    """What the convolutions see, from fine to coarse, (N, C, H, W) each.

    Raises:
        InputError: a picture is not 128 x 128.
        ModelError: the weights are missing.
    """
    return _trained().image.stages(_tensor(pictures))


def _tensor(pictures: Sequence[Image.Image]) -> Tensor:
    for picture in pictures:
        if picture.size != (SIZE, SIZE):
            given = f"{picture.width}x{picture.height}"
            raise InputError(f"LittleWorld's CLIP got a picture of {given} pixels; it reads only {SIZE}x{SIZE}")
    pixels = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1.0


@cache
def _trained() -> LittleClip:
    if not WEIGHTS.is_file():
        raise ModelError(f"no weights at {WEIGHTS}; reinstall undrift, or make them: python -m training.clip")
    weights = load_file(WEIGHTS)
    model = LittleClip(known=len(weights["text.words.weight"]))
    model.load_state_dict(weights)
    return model.eval()
