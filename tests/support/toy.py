"""A backbone and a method small enough to know everything about, which keep all the contracts' promises.

Latent: the pixels of an 8x8 patch, scaled to [-1, 1] and turned by a fixed orthogonal matrix; encoding and decoding
lose nothing. Prompt: a colour. Data: pictures that are normally distributed around that colour, so that the velocity
field is exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.backbones.architecture import Architecture
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
from undrift.backbones.geometry import geometry_of
from undrift.flow import Euler, Observer, integrate, interpolate, linear_sigmas
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, Params, seeded_noise
from undrift.methods.cost import REFERENCE_SIZE, Cost

PATCH = 8
SPREAD = 0.2


class ToyBackbone(Backbone):
    """Exact in every part; ``weights`` names the variant, as another VAE would be.

    Its one site is declared good for everything, so that every method runs on it; there is no attention behind it.
    """

    mixes_sigmas: ClassVar[bool] = True

    def __init__(self, weights: str = "toy-weights") -> None:
        super().__init__()
        self.identity = ModelIdentity("toy", weights, "fp32", "cpu")
        self.capabilities = Capabilities(guidance="none", map_sites=self.sites, sharing_sites=self.sites)
        generator = torch.Generator().manual_seed(len(weights))
        self._basis, _ = torch.linalg.qr(torch.randn(3 * PATCH**2, 3 * PATCH**2, generator=generator))
        self.encoded = 0

    @property
    def sites(self) -> tuple[Site, ...]:
        return (Site("double", 0),)

    def geometry(self, size: tuple[int, int]) -> Geometry:
        return geometry_of(size[1], size[0], PATCH)

    def feature_bytes(self, site: Site, geometry: Geometry) -> int:
        return 0

    def state_bytes(self, geometry: Geometry) -> int:
        return geometry.tokens * 3 * PATCH**2 * 4

    def encode(self, images: Sequence[Image.Image]) -> Latent:
        self.encoded += len(images)
        width, height = images[0].size
        geometry = self.geometry((width, height))
        padding = ((0, geometry.rows * PATCH - height), (0, geometry.columns * PATCH - width), (0, 0))
        pixels = np.stack([np.pad(np.asarray(image), padding, "edge") for image in images])
        patches = torch.from_numpy(pixels).reshape(len(images), geometry.rows, PATCH, geometry.columns, PATCH, 3)
        tokens = patches.permute(0, 1, 3, 2, 4, 5).reshape(len(images), geometry.tokens, -1)
        return Latent((tokens.float() / 127.5 - 1.0) @ self._basis, geometry)

    def decode(self, latent: Latent) -> list[Image.Image]:
        g = latent.geometry
        patches = (latent.packed @ self._basis.T).reshape(-1, g.rows, g.columns, PATCH, PATCH, 3)
        pixels = patches.permute(0, 1, 3, 2, 4, 5).reshape(-1, g.rows * PATCH, g.columns * PATCH, 3)
        levels = ((pixels + 1.0) * 127.5).round().clamp(0, 255).byte().numpy()
        return [Image.fromarray(np.ascontiguousarray(row[: g.height, : g.width])) for row in levels]

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        colours = torch.tensor([list(hashlib.sha256(p.encode()).digest()[:3]) for p in prompts]).float() / 127.5 - 1.0
        tokens = tuple(PromptTokens(p, (p,), ((0, len(p)),)) for p in prompts)
        return Conditioning({"colour": colours}, tokens, text_tokens=1)

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        return {"mean": conditioning.tensors["colour"].repeat(1, PATCH**2)[:, None] @ self._basis}

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        """E[noise - image | x] of images ~ N(mean, SPREAD^2)."""
        variance = (1.0 - sigma) ** 2 * SPREAD**2 + sigma**2
        away = x - (1.0 - sigma) * inputs["mean"]
        slope = (sigma - (1.0 - sigma) * SPREAD**2) / variance
        return torch.add(slope * away, inputs["mean"], alpha=-1.0)

    def network_mixed(self, x: Tensor, sigmas: Tensor, inputs: NetworkInputs) -> Tensor:
        return torch.cat([self.network(*row) for row in self._rows(x, sigmas, inputs)])

    def _rows(self, x: Tensor, sigmas: Tensor, inputs: NetworkInputs) -> list[tuple[Tensor, float, NetworkInputs]]:
        means = inputs["mean"].split(1)
        return [(x[row : row + 1], float(sigmas[row]), {"mean": means[row]}) for row in range(len(x))]

    def sigmas(self, steps: int, geometry: Geometry) -> Tensor:
        return linear_sigmas(steps)

    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        return nullcontext()


class ToyParams(Params):
    """How much noise, in how many steps, and whether the edit has a mask."""

    steps: int = Field(4, ge=1)
    strength: float = Field(0.6, gt=0, le=1)
    masked: bool = True


class ToyMethod(EditMethod):
    """Noise the previous picture, sample the target, keep the result within a block of tokens that the seed picks."""

    name: ClassVar[str] = "toy"
    title: ClassVar[str] = "Toy"
    paper: ClassVar[str] = "none"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {"default": ToyParams(), "global": ToyParams(masked=False)}
    )
    dial: ClassVar[Dial] = MappingProxyType({"strength": (1.0, 0.1), "steps": (9, 3)})
    params: ToyParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        return Cost.of(model, (self.params.steps, 1.0))

    def draws_noise(self) -> bool:
        return True

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        previous, geometry = request.previous.packed, request.previous.geometry
        field = backbone.velocity_field(backbone.embed(request.target_prompts), geometry, 1.0)
        start = interpolate(previous, seeded_noise(request.seeds, previous), self.params.strength)
        sigmas = backbone.sigmas(self.params.steps, geometry) * self.params.strength
        run = integrate(field, Euler(), start, sigmas, observers=observers)
        mask = torch.stack([self._block(seed, geometry) for seed in request.seeds])
        keep = mask.flatten(1)[..., None] if self.params.masked else torch.ones(1)
        latent = Latent(previous + keep * (run.final - previous), geometry)
        return EditResult(latent, mask if self.params.masked else None)

    def _block(self, seed: int, geometry: Geometry) -> Tensor:
        mask = torch.zeros(geometry.rows, geometry.columns)
        row, column = seed % geometry.rows, (seed // geometry.rows) % geometry.columns
        mask[row : row + 2, column : column + 2] = 1.0
        return mask


def toy_picture(width: int = 40, height: int = 32) -> Image.Image:
    """A picture without symmetry: red rises to the right, green to the bottom, blue alternates."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, (x * 3 + y * 5) % 256], axis=-1).astype(np.uint8))
