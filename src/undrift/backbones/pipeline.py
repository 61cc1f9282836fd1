"""What the families of diffusers' pipelines share: a transformer of tokens, a VAE, text encoders and a schedule."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from undrift.attention.sites import Site
from undrift.backbones.architecture import Architecture
from undrift.backbones.autoencoder import Autoencoder
from undrift.backbones.base import Backbone, Conditioning, Geometry, Latent, ModelIdentity, NetworkInputs
from undrift.backbones.folder import ModelFolder
from undrift.backbones.placement import Placement
from undrift.errors import ModelError


class Prompts(Protocol):
    """Embeds prompts as one family takes them."""

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """As ``Backbone.embed``."""
        ...


@dataclass(frozen=True)
class Knowledge:
    """What is known of a model beside its weights.

    Attributes:
        identity: None describes a bare transformer.
        vital_sites: None leaves them to what the family knows.
        vocabulary, notes, tuned: as in ``Capabilities`` and ``Backbone``.
    """

    identity: ModelIdentity | None = None
    vital_sites: tuple[Site, ...] | None = None
    vocabulary: tuple[str, ...] | None = None
    notes: str = ""
    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, folder: ModelFolder, placement: Placement, notes: str = "") -> Knowledge:
        """Of a folder: its ``undrift.json``, and ``notes`` where that has none."""
        given = folder.extra.get("vocabulary")
        return cls(
            identity=ModelIdentity(
                folder.name, folder.weights_hash, placement.dtype_name, str(placement.device), placement.quantize
            ),
            vital_sites=folder.vital_sites,
            vocabulary=None if given is None else tuple(given),
            notes=folder.extra.get("notes", notes),
            tuned=folder.extra.get("tuned", {}),
        )


class PipelineBackbone(Backbone):
    """A transformer of packed tokens; a family says how it is called, scheduled and tapped.

    Args:
        transformer: of diffusers.
        layers: its attention layer at every site, in running order.
        architecture: its shape.
        autoencoder: without it pictures can be neither encoded nor decoded.
        prompts: embeds prompts; without it conditionings must be made by the caller.
        scheduler: the pipeline's scheduler configuration.
        placement: device, dtype and offloading.
        known: what is known beside the weights.
    """

    def __init__(
        self,
        transformer: Any,
        *,
        layers: Mapping[Site, Any],
        architecture: Architecture,
        autoencoder: Autoencoder | None,
        prompts: Prompts | None,
        scheduler: Mapping[str, Any],
        placement: Placement,
        known: Knowledge,
    ) -> None:
        super().__init__()
        self._transformer = transformer.eval()
        self._layers = layers
        self._autoencoder = autoencoder
        self._prompts = prompts
        self._scheduler = scheduler
        self.placement: Placement = placement
        self.architecture = architecture
        self.identity = known.identity or ModelIdentity("bare", "", placement.dtype_name, str(placement.device))
        self.capabilities = replace(
            architecture.capabilities,
            vital_sites=known.vital_sites or (),
            vocabulary=known.vocabulary,
            notes=known.notes,
        )
        self.tuned = known.tuned

    @property
    def sites(self) -> tuple[Site, ...]:
        return tuple(self._layers)

    def geometry(self, size: tuple[int, int]) -> Geometry:
        return self.architecture.geometry(size)

    def feature_bytes(self, site: Site, geometry: Geometry) -> int:
        return self.architecture.feature_bytes(site, geometry)

    def state_bytes(self, geometry: Geometry) -> int:
        return self.architecture.state_bytes(geometry)

    def encode(self, images: Sequence[Image.Image]) -> Latent:
        return self._require_autoencoder().encode(images)

    def decode(self, latent: Latent) -> list[Image.Image]:
        return self._require_autoencoder().decode(latent)

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        if self._prompts is None:
            raise ModelError("this model was built without text encoders: load a full pipeline to embed prompts")
        return self._prompts.embed(prompts)

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        with self.placement.using(self._transformer):
            time = torch.full((x.shape[0],), sigma, dtype=torch.float32, device=self.placement.device)
            velocity = self._predicted(self._to_network(x), time, inputs)
        # A copy outside of inference mode is an ordinary tensor, which callers may change in place.
        return velocity.to(x.device, torch.float32, copy=True)

    @abstractmethod
    def _predicted(self, x: Tensor, sigma: Tensor, inputs: NetworkInputs) -> Tensor:
        """The velocity of packed latents in the network's dtype, at ``sigma`` (batch,)."""

    def _to_network(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.placement.device, self.placement.dtype)

    def _require_autoencoder(self) -> Autoencoder:
        if self._autoencoder is None:
            raise ModelError("this model was built without a VAE: load a full pipeline to encode or decode pictures")
        return self._autoencoder
