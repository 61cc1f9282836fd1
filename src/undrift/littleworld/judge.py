"""Reads the attributes of a LittleWorld scene back from a picture of it.

A small convolutional classifier with one attention-pooled head per attribute. It is trained on softened pictures too,
so it also judges what a model made; `judge/report.json` beside this file holds its accuracy.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from undrift.errors import InputError
from undrift.littleworld.scenes import ATTRIBUTES, NONE

WEIGHTS = Path(__file__).parent / "judge" / "classifier.safetensors"
"""Where the trained classifier lies."""

SIZE = 128
"""Width and height of the pictures that it reads."""
_CHANNELS = (3, 24, 48, 64, 96, 128)


class AttributeClassifier(nn.Module):
    """Pictures (N, 3, 128, 128) in [-1, 1] to logits (N, values) by attribute name."""

    def __init__(self) -> None:
        super().__init__()
        pairs = zip(_CHANNELS[:-1], _CHANNELS[1:], strict=True)
        strides = (2, 2, 2, 2, 1)
        self.body = nn.Sequential(
            *(_block(narrow, wide, stride) for (narrow, wide), stride in zip(pairs, strides, strict=True)),
            _block(_CHANNELS[-1], _CHANNELS[-1], 1),
        )
        self.heads = nn.ModuleDict({name: _Head(_CHANNELS[-1], len(ATTRIBUTES[name])) for name in ATTRIBUTES})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Logits of every attribute, in the order of `ATTRIBUTES`."""
        features = self.body(pictures)
        return {name: head(features) for name, head in self.heads.items()}


class _Head(nn.Module):
    """Looks where its attribute is (softmax over the 8 x 8 places) and classifies what it sees there."""

    def __init__(self, channels: int, values: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(channels, 1, 1)
        self.name = nn.Linear(channels, values)

    def forward(self, features: Tensor) -> Tensor:
        weights = self.look(features).flatten(2).softmax(-1)
        seen = (features.flatten(2) * weights).sum(-1)
        return cast(Tensor, self.name(seen))


def _block(narrow: int, wide: int, stride: int) -> nn.Sequential:
    kernel = 5 if narrow == _CHANNELS[0] else 3
    convolution = nn.Conv2d(narrow, wide, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(wide), nn.ReLU())


def judge(pictures: Tensor) -> list[dict[str, str]]:
    """The attributes that each picture shows, as `Scene.attributes` names them.

    Args:
        pictures: (N, 3, 128, 128), values in [-1, 1].

    Raises:
        InputError: If the shape is another.
    """
    if pictures.ndim != 4 or pictures.shape[1:] != (3, SIZE, SIZE):
        raise InputError(
            f"the judge got pictures of shape {tuple(pictures.shape)}; give (N, 3, {SIZE}, {SIZE}) in [-1, 1]"
        )
    with torch.inference_mode():
        return read_logits(_trained()(pictures.float().cpu()))


def read_logits(logits: dict[str, Tensor]) -> list[dict[str, str]]:
    """The most likely consistent attributes: a missing thing has no colour, a present thing has one."""
    count = len(logits["background"])
    return [_read_one({name: values[row] for name, values in logits.items()}) for row in range(count)]


def _read_one(logits: dict[str, Tensor]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, values in ATTRIBUTES.items():
        owner = found.get(name.removesuffix("_colour"))
        skip = 1 if name.endswith("_colour") and NONE in values else 0
        if skip and owner == NONE:
            found[name] = NONE
        else:
            found[name] = values[skip + int(logits[name][skip:].argmax())]
    return found


def load_judge() -> AttributeClassifier:
    """The trained network, the caller's own to change or to send gradients through."""
    model = AttributeClassifier()
    model.load_state_dict(load_file(WEIGHTS))
    return model.eval()


_trained = cache(load_judge)
"""The one that `judge` shares; made in inference mode, it carries no gradients."""
