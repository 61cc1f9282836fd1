"""The structure distance of PIE-Bench: how much the self-similarity of a picture's DINO keys changed.

Keys k of the last block of DINO v1 ViT-B/8, heads concatenated, all tokens with the class token: S_ij = cos(k_i,
k_j); distance = mean_ij (S_a - S_b)^2. The short side is resized to 224 pixels, the long one to at most 480.
Source: Tumanyan et al. 2022 (Splice) for the measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from undrift.bench.metrics.encoders import device
from undrift.bench.metrics.weights import DINO_B8, read_network

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SHORT, _LONG = 224, 480
_KEYS = ("attention.k_proj", "attention.attention.key")
"""What the key projection of a block is called in transformers, now and before."""


def structure_distances(pairs: Sequence[tuple[Image.Image, Image.Image]], *, compat: bool) -> list[float]:
    """The distance of each pair.

    Args:
        pairs: pictures of one size each.
        compat: as the official evaluator: values of 0 to 255 go into a normalisation that is meant for 0 to 1, and
            the picture is made smaller without antialiasing.
    """
    return [float((_similarity(a, compat) - _similarity(b, compat)).square().mean()) for a, b in pairs]


def prepared(picture: Image.Image, compat: bool) -> Tensor:
    """What the network is given, (1, 3, height, width)."""
    values = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None].float()
    size = _network_size(picture.width, picture.height)
    small = functional.interpolate(values, size=size, mode="bilinear", antialias=not compat)
    mean, deviation = (torch.tensor(v)[None, :, None, None] for v in (_MEAN, _DEVIATION))
    return ((small if compat else small / 255.0) - mean) / deviation


def _network_size(width: int, height: int) -> tuple[int, int]:
    """(height, width) with the short side at 224 unless the long one would exceed 480."""
    scale = min(_SHORT / min(width, height), _LONG / max(width, height))
    return max(1, int(height * scale + 1e-6)), max(1, int(width * scale + 1e-6))


@torch.inference_mode()
def _similarity(picture: Image.Image, compat: bool) -> Tensor:
    network, projection = _dino(DINO_B8.path())
    caught: list[Tensor] = []
    hook = projection.register_forward_hook(lambda module, given, keys: caught.append(keys))
    try:
        network(pixel_values=prepared(picture, compat).to(device()), interpolate_pos_encoding=True)
    finally:
        hook.remove()
    keys = functional.normalize(caught[0][0].float(), dim=-1)
    return keys @ keys.mT


@cache
def _dino(folder: Path) -> tuple[Any, nn.Module]:
    from transformers import ViTModel

    network = read_network(ViTModel, folder, add_pooling_layer=False)
    keys = [module for name, module in network.named_modules() if name.endswith(_KEYS)]
    return network.to(device()), cast(nn.Module, keys[-1])
