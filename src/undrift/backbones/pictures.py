"""Pictures to tensors and back: padded by repeating the edge, cropped again, never resized."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from undrift.backbones.base import Geometry
from undrift.errors import InputError


def common_size(images: Sequence[Image.Image]) -> tuple[int, int]:
    """The size (width, height) of a batch of pictures.

    Raises:
        InputError: no pictures, or sizes that differ within the batch.
    """
    sizes = sorted({image.size for image in images})
    if not sizes:
        raise InputError("no picture to encode, expected at least one")
    if len(sizes) > 1:
        given = " and ".join(f"{width} x {height}" for width, height in sizes[:2])
        raise InputError(f"pictures of one batch must have one size, got {given}: encode them in separate batches")
    return sizes[0]


def to_tensor(images: Sequence[Image.Image], geometry: Geometry, token_side: int) -> Tensor:
    """(batch, 3, padded height, padded width) float32 in [-1, 1], the right and lower edges repeated as padding."""
    pixels = np.stack([np.asarray(image.convert("RGB")) for image in images])
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    right = geometry.columns * token_side - geometry.width
    below = geometry.rows * token_side - geometry.height
    return functional.pad(tensor, (0, right, 0, below), mode="replicate")


def to_images(pixels: Tensor, geometry: Geometry) -> list[Image.Image]:
    """RGB pictures from (batch, 3, padded height, padded width) in [-1, 1]: cropped, clamped, rounded to 8 bits."""
    cropped = pixels[:, :, : geometry.height, : geometry.width].float()
    levels = (cropped * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
    return [Image.fromarray(row) for row in levels.permute(0, 2, 3, 1).cpu().numpy()]
