"""A second model whose every convention differs from FLUX's, small enough to run in every contract test.

The network takes the image's tokens in front of the text's, is fed 1000 (1 - sigma) and answers with image - noise.
Prompts differ in length: the shorter ones of a batch are padded, and the padding is masked. There is no pooled
vector, guidance takes a second evaluation, and all layers are of one kind. A token is 10 pixels wide, and grids are
padded to even numbers of rows and columns. The text encoder reads a template in front of the prompt, whose columns
are dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap, Projections
from undrift.backbones.base import (
    Backbone,
    Capabilities,
    Conditioning,
    Geometry,
    Latent,
    ModelIdentity,
    NetworkInputs,
    PromptTokens,
)
from undrift.backbones.processors import TappedProcessor, installed
from undrift.flow import linear_sigmas, shift_sigmas

BLOCKS, HEADS, WIDTH = 3, 2, 32
TOKEN_SIDE, CHANNELS = 10, 300
TEMPLATE = ("describe", "this", "picture")
VOCABULARY = 61
SHIFT = 3.0


class JointAttention(nn.Module):
    """Image and text attend to each other through one fused projection each."""

    def __init__(self) -> None:
        super().__init__()
        self.image_qkv, self.text_qkv = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.image_out, self.text_out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.processor: Any = image_first

    def set_processor(self, processor: Any) -> None:
        self.processor = processor

    def forward(self, image: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        given: tuple[Tensor, Tensor] = self.processor(self, image, text, mask)
        return given


def image_first(attn: JointAttention, image: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The network's own attention: image before text, (batch, heads, sequence, head_dim); ``mask`` (batch, text)."""
    parts = [split(attn.image_qkv(image)), split(attn.text_qkv(text))]
    query, key, value = (torch.cat(pair, dim=1).transpose(1, 2) for pair in zip(*parts, strict=True))
    seen = torch.cat([torch.ones(image.shape[:2], dtype=torch.bool), mask], dim=1)[:, None, None]
    out = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen).transpose(1, 2).flatten(2)
    return attn.image_out(out[:, : image.shape[1]]), attn.text_out(out[:, image.shape[1] :])


def split(projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value, (batch, tokens, heads, head_dim) each."""
    query, key, value = projected.reshape(*projected.shape[:2], 3, HEADS, WIDTH // HEADS).unbind(2)
    return query, key, value


def text_first(
    attn: JointAttention,
    image: Tensor,
    text: Tensor,
    mask: Tensor,
    project: Callable[[Projections], Projections] = lambda made: made,
    attend: Callable[[Tensor, Tensor, Tensor, int, Tensor], Tensor | None] = lambda *_: None,
) -> tuple[Tensor, Tensor]:
    """The same attention with the text in front, which the backbone always runs: a tap then changes no order."""
    parts = [split(attn.text_qkv(text)), split(attn.image_qkv(image))]
    query, key, value = (torch.cat(pair, dim=1) for pair in zip(*parts, strict=True))
    made = project(Projections(query, key, value, text.shape[1]))
    seen = torch.cat([mask, torch.ones(image.shape[:2], dtype=torch.bool)], dim=1)[:, None, None]
    out = attend(made.query, made.key, made.value, made.text_tokens, seen)
    if out is None:
        q, k, v = (tensor.transpose(1, 2) for tensor in (made.query, made.key, made.value))
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2)
    joined = out.flatten(2)
    return attn.image_out(joined[:, text.shape[1] :]), attn.text_out(joined[:, : text.shape[1]])


class TextFirst(TappedProcessor):
    """``text_first`` with its taps asked on the way."""

    def __call__(self, attn: JointAttention, image: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if not self.asked:
            given: tuple[Tensor, Tensor] = self.stock(attn, image, text, mask)
            return given
        return text_first(attn, image, text, mask, self.projected, self.attended)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn, self.norm = JointAttention(), nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )

    def forward(self, image: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        seen, read = self.attn(self.norm(image), self.norm(text), mask)
        image, text = image + seen, text + read
        return image + self.mlp(image), text + self.mlp(text)


class SmallTransformer(nn.Module):
    """image - noise, from the noisy image's tokens, their (row, column), the prompts' tokens and 1000 (1 - sigma)."""

    def __init__(self) -> None:
        super().__init__()
        self.image_in, self.text_in = nn.Linear(CHANNELS, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.time_in = nn.Linear(WIDTH, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.out = nn.Linear(WIDTH, CHANNELS)

    def forward(self, image: Tensor, text: Tensor, *, mask: Tensor, places: Tensor, timestep: Tensor) -> Tensor:
        time = self.time_in(waves(timestep / 1000.0)).unsqueeze(1)
        image = self.image_in(image) + waves(places[:, 0]) + waves(places[:, 1]).roll(1, -1) + time
        text = self.text_in(text)
        for block in self.blocks:
            image, text = block(image, text, mask)
        velocity: Tensor = self.out(image)
        return velocity


def waves(position: Tensor) -> Tensor:
    """Sines and cosines of (n,) positions, (n, WIDTH)."""
    angles = position.unsqueeze(-1) * torch.logspace(1.0, -1.0, WIDTH // 2)
    return torch.cat([angles.sin(), angles.cos()], -1)


class SmallJoint(Backbone):
    """Args: maps, sharing: whether its layers make maps and share features, for methods that need them."""

    def __init__(self, *, maps: bool = True, sharing: bool = True) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            self._network = SmallTransformer().eval().requires_grad_(False)
            self._words = nn.Embedding(VOCABULARY, WIDTH).requires_grad_(False)
            self._basis, _ = torch.linalg.qr(torch.randn(CHANNELS, CHANNELS))
        self._layers: Mapping[Site, Any] = {
            Site("joint", number): block.attn for number, block in enumerate(self._network.blocks)
        }
        for layer in self._layers.values():
            layer.set_processor(text_first)
        self.identity = ModelIdentity("small-joint", "small-weights", "float32", "cpu")
        self.capabilities = Capabilities(
            guidance="two_evaluations",
            map_sites=self.sites if maps else (),
            text_sites=self.sites if maps else (),
            sharing_sites=self.sites if sharing else (),
            fixed_text=False,
        )

    @property
    def sites(self) -> tuple[Site, ...]:
        return tuple(self._layers)

    def geometry(self, size: tuple[int, int]) -> Geometry:
        width, height = size
        rows, columns = (2 * math.ceil(side / (2 * TOKEN_SIDE)) for side in (height, width))
        return Geometry(height, width, rows, columns, TOKEN_SIDE)

    def feature_bytes(self, site: Site, geometry: Geometry) -> int:
        return geometry.tokens * WIDTH * 4

    def state_bytes(self, geometry: Geometry) -> int:
        return geometry.tokens * CHANNELS * 4

    def encode(self, images: Sequence[Image.Image]) -> Latent:
        g = self.geometry(images[0].size)
        padding = ((0, g.rows * TOKEN_SIDE - g.height), (0, g.columns * TOKEN_SIDE - g.width), (0, 0))
        pixels = torch.from_numpy(np.stack([np.pad(np.asarray(image), padding, "edge") for image in images]))
        patches = pixels.reshape(len(images), g.rows, TOKEN_SIDE, g.columns, TOKEN_SIDE, 3)
        tokens = patches.permute(0, 1, 3, 2, 4, 5).reshape(len(images), g.tokens, CHANNELS)
        return Latent((tokens.float() / 127.5 - 1.0) @ self._basis, g)

    def decode(self, latent: Latent) -> list[Image.Image]:
        g = latent.geometry
        patches = (latent.packed @ self._basis.T).reshape(-1, g.rows, g.columns, TOKEN_SIDE, TOKEN_SIDE, 3)
        pixels = patches.permute(0, 1, 3, 2, 4, 5).reshape(-1, g.rows * TOKEN_SIDE, g.columns * TOKEN_SIDE, 3)
        levels = ((pixels + 1.0) * 127.5).round().clamp(0, 255).byte().numpy()
        return [Image.fromarray(np.ascontiguousarray(row[: g.height, : g.width])) for row in levels]

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        rows = [self._read(prompt) for prompt in prompts]
        longest = max(len(tokens.tokens) for tokens, _ in rows)
        text, mask = torch.zeros(len(rows), longest, WIDTH), torch.zeros(len(rows), longest, dtype=torch.bool)
        for number, (_, embedded) in enumerate(rows):
            text[number, : len(embedded)], mask[number, : len(embedded)] = embedded, True
        return Conditioning({"text": text}, tuple(tokens for tokens, _ in rows), longest, mask)

    def sigmas(self, steps: int, geometry: Geometry) -> Tensor:
        return shift_sigmas(linear_sigmas(steps), math.log(SHIFT))

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        rows, columns = torch.arange(geometry.rows), torch.arange(geometry.columns)
        places = torch.cartesian_prod(rows, columns).float()
        return {"text": conditioning.tensors["text"], "mask": conditioning.mask, "places": places}

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        time = torch.full((x.shape[0],), 1000.0 * (1.0 - sigma))
        towards_image: Tensor = self._network(x, timestep=time, **inputs)
        return -towards_image

    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        return installed(self._layers, taps, partial(TextFirst, running=self.running))

    def _read(self, prompt: str) -> tuple[PromptTokens, Tensor]:
        """The prompt's columns and their embeddings: each sums up what was read so far, the template included."""
        words = [word for word in prompt.replace(",", " ").split(" ") if word]
        starts, at = [], 0
        for word in words:
            starts.append(prompt.index(word, at))
            at = starts[-1] + len(word)
        ids = torch.tensor([number(word) for word in (*TEMPLATE, *words, "</s>")])
        read = self._words(ids).cumsum(0) / torch.arange(1, len(ids) + 1).sqrt().unsqueeze(1)
        spans = [(start, start + len(word)) for start, word in zip(starts, words, strict=True)]
        return PromptTokens(prompt, (*words, "</s>"), (*spans, (0, 0))), read[len(TEMPLATE) :]


@cache
def small_joint() -> SmallJoint:
    """The model that tests share."""
    return SmallJoint()


def number(word: str) -> int:
    """The word's place in the vocabulary, the same in every process."""
    return sum(ord(letter) * (place + 1) for place, letter in enumerate(word)) % VOCABULARY
