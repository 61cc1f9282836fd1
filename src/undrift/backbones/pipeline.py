"""What the families of diffusers' pipelines share: a transformer of tokens, a VAE, text encoders and a schedule."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, Self

import torch
from PIL import Image
from torch import Tensor, nn

from undrift.attention.sites import Site
from undrift.backbones.architecture import Architecture
from undrift.backbones.autoencoder import Autoencoder
from undrift.backbones.bare import bare_identity
from undrift.backbones.base import Backbone, Conditioning, Geometry, Latent, ModelIdentity, NetworkInputs
from undrift.backbones.caching import StepCache, check_plain
from undrift.backbones.compiling import compile_blocks, is_compiled, keep_taps_out
from undrift.backbones.finite import check_finite, is_finite
from undrift.backbones.folder import NETWORKS, ModelFolder, quantization_name
from undrift.backbones.given import TRANSFORMER
from undrift.backbones.pictures import common_size
from undrift.backbones.placement import Placement
from undrift.backbones.weights import tensors_digest
from undrift.errors import InputError, ModelError


class Prompts(Protocol):
    """Embeds prompts as one family takes them."""

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """As ``Backbone.embed``."""
        ...


@dataclass(frozen=True)
class Knowledge:
    """What is known of a model beside its weights.

    Attributes:
        identity: None describes a bare network.
        vital_sites: None leaves them to what the family knows.
        text_tokens: as in ``ModelFolder``.
        vocabulary, notes, tuned: as in ``Capabilities`` and ``Backbone``.
    """

    identity: ModelIdentity | None = None
    vital_sites: tuple[Site, ...] | None = None
    text_tokens: int | None = None
    vocabulary: tuple[str, ...] | None = None
    notes: str = ""
    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, folder: ModelFolder, placement: Placement, notes: str = "") -> Knowledge:
        """Of a folder: its ``undrift.json``, and ``notes`` where that has none."""
        given = folder.extra.get("vocabulary")
        return cls(
            identity=ModelIdentity(
                folder.name,
                folder.weights_hash,
                placement.dtype_name,
                str(placement.device),
                _quantized(folder, placement),
                vae_hash=folder.vae_hash,
                loras=tuple(lora.label for lora in folder.loras),
                options=(*placement.options, *_of_folder(folder)),
                revision=folder.revision,
            ),
            text_tokens=folder.text_tokens,
            vital_sites=folder.vital_sites,
            vocabulary=None if given is None else tuple(given),
            notes=folder.extra.get("notes", notes),
            tuned=folder.extra.get("tuned", {}),
        )


@dataclass(frozen=True)
class Loaded:
    """A pipeline whose parts are loaded.

    Attributes:
        parts: by the names that the pipeline gives them.
        scheduler: the scheduler's configuration.
        index: ``model_index.json``.
        placement: where the parts are.
        known: what is known beside the weights.
    """

    parts: Mapping[str, Any]
    scheduler: Mapping[str, Any]
    index: Mapping[str, Any]
    placement: Placement
    known: Knowledge

    @property
    def common(self) -> dict[str, Any]:
        """What every family's backbone takes beside its network and its prompts."""
        return {
            "vae": self.parts["vae"],
            "scheduler": self.scheduler,
            "placement": self.placement,
            "known": self.known,
        }


def network_of(pipe: Any) -> Any:
    """The part of a loaded pipeline that makes pictures of noise."""
    return next(part for name in NETWORKS if (part := pipe.components.get(name)) is not None)


def placement_of(pipe: Any) -> Placement:
    """Where a loaded pipeline computes. Its own hooks move its parts, which inference mode does not allow."""
    moved = any(hasattr(part, "_hf_hook") or hasattr(part, "_diffusers_hook") for part in pipe.components.values())
    return Placement(pipe._execution_device, network_of(pipe).dtype, "group" if moved else "none")


def known_of(pipe: Any, name: str, placement: Placement) -> Knowledge:
    """What can be told of a loaded pipeline: which weights it has now, and how they are held."""
    network = network_of(pipe)
    config = getattr(network.config, "quantization_config", None)
    said = config if isinstance(config, Mapping) or not config else config.to_dict()
    quantize = quantization_name(said) if said else "none"
    return Knowledge(
        ModelIdentity(
            name,
            tensors_digest(part for part in pipe.components.values() if isinstance(part, nn.Module)),
            placement.dtype_name,
            str(placement.device),
            quantize,
            vae_hash=tensors_digest([pipe.vae]),
            loras=tuple(getattr(network, "peft_config", {})),
        )
    )


def _of_folder(folder: ModelFolder) -> tuple[str, ...]:
    """What was chosen of a folder's model beside its adapters, as records have it."""
    text_tokens = () if folder.text_tokens is None else (f"text_tokens={folder.text_tokens}",)
    return (*text_tokens, *((f"{TRANSFORMER}={folder.given}",) if folder.beside else ()))


def _quantized(folder: ModelFolder, placement: Placement) -> str:
    """How the network is held: as it was asked for, or as its file has it, and what was asked for the rest."""
    packed = folder.packed(folder.network)
    if not packed or placement.quantize == "none":
        return packed or placement.quantize
    return f"{packed}+{placement.quantize}"


class PipelineBackbone(Backbone):
    """A network over packed latents; a family says how it is called, scheduled and tapped.

    Its rows may lie at sigmas of their own, unless a family's own ``network`` does more than call it.

    Args:
        network: of diffusers.
        layers: its attention layer at every site, in running order.
        architecture: its shape.
        autoencoder: without it pictures can be neither encoded nor decoded.
        prompts: embeds prompts; without it conditionings must be made by the caller.
        scheduler: the pipeline's scheduler configuration.
        placement: device, dtype and offloading.
        known: what is known beside the weights.
    """

    mixes_sigmas: ClassVar[bool] = True

    def __init__(
        self,
        network: Any,
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
        self._network = network.eval()
        self._cache: StepCache | None = None
        self._parts: Mapping[str, nn.Module] = {NETWORKS[0]: network}
        self._layers = layers
        self._autoencoder = autoencoder
        self._prompts = prompts
        self._scheduler = scheduler
        self.placement: Placement = placement
        self.architecture = architecture
        vae = None if autoencoder is None else autoencoder.vae
        self.identity = known.identity or bare_identity(network, vae, placement)
        self.capabilities = replace(
            architecture.capabilities,
            vital_sites=known.vital_sites or (),
            vocabulary=known.vocabulary,
            notes=known.notes,
        )
        self.tuned = known.tuned
        check_plain(network, self.identity.name)
        if placement.cache is not None:
            self._cache = StepCache(network, placement.cache, self.identity.name)

    @classmethod
    def from_folder(cls, folder: ModelFolder, placement: Placement) -> Self:
        parts = cls.loaded_parts(folder, placement)
        placement.place([part for part in parts.values() if isinstance(part, nn.Module)])
        if placement.compiled:
            compile_blocks(parts[folder.network])
        known = Knowledge.of(folder, placement, cls.notes(folder))
        return cls._made(Loaded(parts, folder.config("scheduler"), folder.index, placement, known))

    @classmethod
    def from_pipeline(cls, pipe: Any, name: str) -> Self:
        """A pipeline of diffusers that somebody loaded, with whatever was done to it; its parts stay where they are.

        Args:
            pipe: of one of ``pipeline_classes``.
            name: what turns record it as.
        """
        placement = placement_of(pipe)
        if is_compiled(network_of(pipe)):
            keep_taps_out()
        index = {**pipe.config, "_class_name": type(pipe).__name__}
        known = known_of(pipe, name, placement)
        return cls._made(Loaded(pipe.components, pipe.scheduler.config, index, placement, known))

    @classmethod
    def _made(cls, loaded: Loaded) -> Self:
        made = cls.of_parts(loaded)
        made._parts = {name: part for name, part in loaded.parts.items() if isinstance(part, nn.Module)}
        return made

    @classmethod
    @abstractmethod
    def loaded_parts(cls, folder: ModelFolder, placement: Placement) -> dict[str, Any]:
        """The parts of a folder, as a pipeline calls them, loaded and not placed yet."""

    @classmethod
    @abstractmethod
    def of_parts(cls, loaded: Loaded) -> Self:
        """A model of loaded parts."""

    @classmethod
    def notes(cls, folder: ModelFolder) -> str:
        """One line that a user should know of a folder's model, such as its licence."""
        return ""

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
        return self._require_autoencoder().encode(images, self.geometry(common_size(images)))

    def decode(self, latent: Latent) -> list[Image.Image]:
        rows = latent.packed
        if len(rows) > 1 and torch.equal(rows, rows[:1].expand_as(rows)):  # what several candidates are made from
            (image,) = self.decode(replace(latent, packed=rows[:1]))
            return [image.copy() for _ in rows]
        return self._require_autoencoder().decode(latent)

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        if self._prompts is None:
            raise ModelError("this model was built without text encoders: load a full pipeline to embed prompts")
        made = self._prompts.embed(prompts)
        for tensor in made.tensors.values():
            check_finite(tensor, "the embedded prompt", self._parts_of("text_encoder"), self.placement.dtype)
        return made

    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        return self.network_mixed(x, torch.full((x.shape[0],), sigma, dtype=torch.float32), inputs)

    def network_mixed(self, x: Tensor, sigmas: Tensor, inputs: NetworkInputs) -> Tensor:
        with self.placement.using(self._network), self._cached(inputs):
            time = sigmas.to(self.placement.device)
            velocity = self._predicted(self._to_network(x), time, inputs)
            self._check(velocity, x)
        # A copy outside of inference mode is an ordinary tensor, which callers may change in place.
        return velocity.to(x.device, torch.float32, copy=True)

    @property
    def repeatable(self) -> bool:
        return self._cache is None

    def turning(self) -> AbstractContextManager[None]:
        return nullcontext() if self._cache is None else self._cache.remembering()

    def _cached(self, inputs: NetworkInputs) -> AbstractContextManager[None]:
        if self._cache is None:
            return nullcontext()
        heard = (tap for tap in self.taps if self.running.tapped or tap.both_branches)
        return self._cache.evaluation(inputs, whole=not all(tap.idle for tap in heard))

    @abstractmethod
    def _predicted(self, x: Tensor, sigma: Tensor, inputs: NetworkInputs) -> Tensor:
        """What the network makes of packed latents in its dtype, at ``sigma`` (batch,): the velocity, unless
        ``network`` is the family's own."""

    def _check(self, velocity: Tensor, x: Tensor) -> None:
        if is_finite(velocity):
            return
        if not is_finite(x):
            raise InputError("the method left the range of numbers: make its parameters smaller, guidance first")
        check_finite(velocity, "a velocity", self._parts_of(*NETWORKS), self.placement.dtype)

    def _parts_of(self, *kinds: str) -> dict[str, nn.Module]:
        return {name: part for name, part in self._parts.items() if name.startswith(kinds)}

    def _to_network(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.placement.device, self.placement.dtype)

    def _require_autoencoder(self) -> Autoencoder:
        if self._autoencoder is None:
            raise ModelError("this model was built without a VAE: load a full pipeline to encode or decode pictures")
        return self._autoencoder
