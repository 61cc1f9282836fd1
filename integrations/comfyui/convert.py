"""Pictures between ComfyUI, (batch, height, width, channel) of 0 to 1, and undrift, 8-bit RGB."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from undrift.errors import InputError


def to_picture(images: torch.Tensor) -> Image.Image:
    """The one picture of a batch.

    Raises:
        InputError: several; a session has one original.
    """
    if images.ndim != 4 or images.shape[0] != 1:
        raise InputError(f"{images.shape[0]} pictures were given, expected one: a session edits one picture")
    levels = (images[0, ..., :3].detach().cpu().clamp(0, 1) * 255).round().byte().numpy()
    return Image.fromarray(np.ascontiguousarray(levels))


def to_images(picture: Image.Image) -> torch.Tensor:
    """A batch of one picture; ``to_picture`` gives the same pixels back."""
    return torch.from_numpy(np.array(picture.convert("RGB"))).float()[None] / 255.0


def to_region(mask: torch.Tensor | None, size: tuple[int, int]) -> Image.Image | None:
    """A mask, 1 where to edit, as a region of a picture of ``size``; None for everywhere.

    Raises:
        InputError: another size, several masks, or nothing selected.
    """
    if mask is None:
        return None
    one = mask[0] if mask.ndim == 3 and mask.shape[0] == 1 else mask
    if one.ndim != 2 or tuple(one.shape) != (size[1], size[0]):
        raise InputError(
            f"the mask has the shape {tuple(mask.shape)}, expected one of {size[0]}x{size[1]} pixels;"
            " of a picture without alpha, Load Image gives an empty one of 64x64: leave that unconnected"
        )
    levels = (one.detach().cpu().clamp(0, 1) * 255).round().byte().numpy()
    if not levels.any():
        raise InputError("the mask selects nothing: paint where to edit, or leave it unconnected")
    return Image.fromarray(np.ascontiguousarray(levels))
