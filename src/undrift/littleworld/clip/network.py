"""The two towers of the small CLIP."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from undrift.littleworld.captions import VOCABULARY

WIDTH = 64
"""Numbers in an embedding."""
SIZE = 128
"""Side of the pictures in pixels."""
LENGTH = 24
"""Words of a caption that are read; the longest caption of the world has 21."""

_CHANNELS = (3, 24, 48, 72, 96, 128)
_STRIDES = (2, 2, 2, 2, 1)
_GLANCES = 6
_PAD, _UNKNOWN = 0, 1
_INDEX = {word: number for number, word in enumerate(VOCABULARY, start=2)}


def word_numbers(captions: Sequence[str]) -> Tensor:
    """Captions as numbers of words, (N, LENGTH); 0 fills up, 1 stands for a word of no caption of the world."""
    rows = torch.full((len(captions), LENGTH), _PAD, dtype=torch.long)
    for row, caption in zip(rows, captions, strict=True):
        words = re.findall(r"[^\W\d_]+", caption.lower())[:LENGTH] or [""]
        row[: len(words)] = torch.tensor([_INDEX.get(word, _UNKNOWN) for word in words])
    return rows


class ImageTower(nn.Module):
    """Pictures (N, 3, 128, 128) in [-1, 1] to (N, WIDTH): five convolutions, then six glances at 8 x 8 places."""

    def __init__(self) -> None:
        super().__init__()
        pairs = zip(_CHANNELS[:-1], _CHANNELS[1:], _STRIDES, strict=True)
        self.blocks = nn.ModuleList(_block(narrow, wide, stride) for narrow, wide, stride in pairs)
        self.look = nn.Conv2d(_CHANNELS[-1], _GLANCES, 1)
        self.name = nn.Linear(_GLANCES * _CHANNELS[-1], WIDTH)

    def stages(self, pictures: Tensor) -> list[Tensor]:
        """What every block sees, (N, C, H, W) each, from fine to coarse."""
        seen = [pictures]
        for block in self.blocks:
            seen.append(block(seen[-1]))
        return seen[1:]

    def forward(self, pictures: Tensor) -> Tensor:
        """Embeddings before they are brought to length one."""
        features = self.stages(pictures)[-1].flatten(2)
        weights = self.look(features[..., None]).flatten(2).softmax(-1)
        return cast(Tensor, self.name((weights @ features.mT).flatten(1)))


class TextTower(nn.Module):
    """Word numbers (N, LENGTH) to (N, WIDTH): two transformer layers, then the mean over the words.

    Args:
        known: Word numbers that it has embeddings of; the words after them are unknown words to it.
    """

    def __init__(self, known: int) -> None:
        super().__init__()
        self.words = nn.Embedding(known, WIDTH)
        self.places = nn.Parameter(0.1 * torch.randn(LENGTH, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.name = nn.Linear(WIDTH, WIDTH)

    def forward(self, numbers: Tensor) -> Tensor:
        """Embeddings before they are brought to length one."""
        numbers = numbers.where(numbers < self.words.num_embeddings, _UNKNOWN)
        empty = numbers == _PAD
        read = self.layers(self.words(numbers) + self.places, src_key_padding_mask=empty)
        kept = read.masked_fill(empty[..., None], 0.0).sum(1) / (~empty).sum(1, keepdim=True)
        return cast(Tensor, self.name(kept))


class LittleClip(nn.Module):
    """Both towers and the scale of the logits; see `TextTower` for `known`."""

    def __init__(self, known: int = len(VOCABULARY) + 2) -> None:
        super().__init__()
        self.image = ImageTower()
        self.text = TextTower(known)
        self.log_scale = nn.Parameter(torch.tensor(2.5))

    def pictures(self, pictures: Tensor) -> Tensor:
        """Unit vectors (N, WIDTH) of pictures (N, 3, 128, 128) in [-1, 1]."""
        return functional.normalize(self.image(pictures), dim=-1)

    def texts(self, captions: Sequence[str]) -> Tensor:
        """Unit vectors (N, WIDTH) of captions."""
        return functional.normalize(self.text(word_numbers(captions)), dim=-1)


def _block(narrow: int, wide: int, stride: int) -> nn.Sequential:
    kernel = 5 if narrow == _CHANNELS[0] else 3
    convolution = nn.Conv2d(narrow, wide, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(wide), nn.ReLU())
