"""LPIPS with SqueezeNet: the published backbone and the published weights of the heads.

The backbone is torchvision's SqueezeNet 1.1, built here because torchvision fits only its own build of torch; the
heads lie inside the torchmetrics wheel. Source: Zhang et al. 2018; Iandola et al. 2016 for the network.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from undrift.bench.metrics.encoders import device
from undrift.bench.metrics.weights import SQUEEZENET

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_POOL = ()
_LAYERS = (
    *((64, 16, 64), (128, 16, 64), _POOL, (128, 32, 128), (256, 32, 128), _POOL),
    *((256, 48, 192), (384, 48, 192), (384, 64, 256), (512, 64, 256)),
)
"""Channels of the fire modules: in, squeezed, widened."""
_READ_AFTER = (1, 4, 7, 9, 10, 11, 12)
_HEADS = "functional/image/lpips_models/squeeze.pth"


class Fire(nn.Module):
    """Squeezes the channels, then widens them by 1 x 1 and 3 x 3 convolutions side by side."""

    def __init__(self, channels: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, narrow, 1)
        self.expand1x1 = nn.Conv2d(narrow, wide, 1)
        self.expand3x3 = nn.Conv2d(narrow, wide, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, 2 wide, H, W)."""
        small = self.squeeze(features).relu()
        return torch.cat([self.expand1x1(small), self.expand3x3(small)], dim=1).relu()


class SqueezeNet(nn.Module):
    """The layers of SqueezeNet 1.1 that LPIPS reads."""

    def __init__(self) -> None:
        super().__init__()
        fires = [Fire(*channels) if channels else _pool() for channels in _LAYERS]
        self.features = nn.ModuleList([nn.Conv2d(3, 64, 3, 2), nn.ReLU(), _pool(), *fires])

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The seven stages, from fine to coarse."""
        read = []
        for number, layer in enumerate(self.features):
            pictures = layer(pictures)
            if number in _READ_AFTER:
                read.append(pictures)
        return read


@torch.inference_mode()
def lpips(a: Tensor, b: Tensor) -> list[float]:
    """LPIPS of pairs of pictures (N, 3, H, W) in [-1, 1]: 0 for equal ones, about 1 for unrelated ones."""
    network, heads = _network(), _heads()
    stages = zip(network(_scaled(a.to(device()))), network(_scaled(b.to(device()))), heads, strict=True)
    return cast("list[float]", torch.stack([_distance(x, y, head) for x, y, head in stages]).sum(0).tolist())


def missing() -> str | None:
    """What to install or to put where, in a line; None if everything is here."""
    if _heads_file() is None:
        return "install torchmetrics, which holds LPIPS's heads: pip install 'undrift[metrics]'"
    return SQUEEZENET.missing()


def _distance(x: Tensor, y: Tensor, head: Tensor) -> Tensor:
    squared = (_normalised(x) - _normalised(y)).square()
    return (squared * head).sum(1).mean((1, 2))


def _normalised(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True) + 1e-8).sqrt()


def _scaled(pictures: Tensor) -> Tensor:
    shift, scale = (torch.tensor(values, device=pictures.device)[None, :, None, None] for values in (_SHIFT, _SCALE))
    return (pictures - shift) / scale


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, ceil_mode=True)


@cache
def _network() -> SqueezeNet:
    network = SqueezeNet()
    state = {name: value for name, value in SQUEEZENET.state().items() if name.startswith("features.")}
    network.load_state_dict(state)
    return network.eval().to(device())


@cache
def _heads() -> Sequence[Tensor]:
    file = _heads_file()
    assert file is not None
    state = torch.load(file, weights_only=True, map_location="cpu")
    return [state[f"lin{number}.model.1.weight"].to(device()) for number in range(len(_READ_AFTER))]


def _heads_file() -> Path | None:
    found = importlib.util.find_spec("torchmetrics")
    places = [Path(place) / _HEADS for place in (found.submodule_search_locations or ())] if found else []
    return next((place for place in places if place.is_file()), None)
