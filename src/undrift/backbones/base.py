"""What a backbone is: a flow-matching model with everything that is particular to it kept inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from PIL import Image
from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.backbones.folder import ModelFolder
from undrift.backbones.placement import Placement
from undrift.flow import VelocityField, following


@dataclass(frozen=True)
class Geometry:
    """A picture's size and the token grid it is packed into.

    Attributes:
        height, width: of the picture in pixels, before padding.
        rows, columns: of the token grid, which covers the padded picture.
    """

    height: int
    width: int
    rows: int
    columns: int

    @property
    def tokens(self) -> int:
        return self.rows * self.columns


@dataclass(frozen=True)
class Latent:
    """Packed latents (batch, tokens, channels), float32, of pictures of one geometry."""

    packed: Tensor
    geometry: Geometry


@dataclass(frozen=True)
class PromptTokens:
    """A prompt as one tokenizer cut it.

    Attributes:
        prompt: the text.
        tokens: the pieces, in order, special tokens included, padding excluded.
        spans: for each piece its (start, end) characters in the prompt; (0, 0) for special tokens.
    """

    prompt: str
    tokens: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Conditioning:
    """Embedded prompts, one per batch row.

    Attributes:
        text: (batch, text_tokens, width), the sequence that takes part in attention.
        pooled: (batch, width).
        tokens: the text encoder's pieces per row; piece j is column j of the attention.
        pooled_tokens: the pooled encoder's pieces per row.
    """

    text: Tensor
    pooled: Tensor
    tokens: tuple[PromptTokens, ...]
    pooled_tokens: tuple[PromptTokens, ...]


@dataclass(frozen=True)
class Capabilities:
    """What a model can do, so that callers ask instead of testing names.

    Attributes:
        guidance_embedding: takes the guidance value as an input (one evaluation per step).
        vital_sites: layers found vital for the picture (Stable Flow), empty if unknown.
        notes: one line a user should know, such as the licence of the weights.
    """

    guidance_embedding: bool = True
    vital_sites: tuple[Site, ...] = ()
    notes: str = ""


@dataclass(frozen=True)
class ModelIdentity:
    """Which weights ran: recorded with every turn.

    Attributes:
        name: what the user loads it by, e.g. ``littleworld`` or ``black-forest-labs/FLUX.1-dev``.
        weights_hash: sha256 over the weight files' contents (or the hub's revision), first 16 hex digits.
        dtype, device: what it computed in and on.
    """

    name: str
    weights_hash: str
    dtype: str
    device: str


class Backbone(ABC):
    """A flow-matching text-to-image transformer with its text encoders and VAE.

    Packing, timestep scale, dtype, devices and offloading live behind this interface and nowhere else.
    All tensors handed out are float32.
    """

    pipeline_classes: ClassVar[tuple[str, ...]] = ()
    """diffusers pipelines whose folders this family loads: ``_class_name`` of their ``model_index.json``."""

    identity: ModelIdentity
    capabilities: Capabilities
    tuned: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """Parameter overrides per method name, for models whose best values differ from the methods' defaults."""

    def __init__(self) -> None:
        self._taps: tuple[AttentionTap, ...] = ()

    @classmethod
    def from_folder(cls, folder: ModelFolder, placement: Placement) -> Backbone:
        """Load a pipeline folder of one of ``pipeline_classes``."""
        raise NotImplementedError(f"{cls.__name__} is not loaded from folders")

    @property
    @abstractmethod
    def sites(self) -> tuple[Site, ...]:
        """Every attention layer that taps can reach, in the order they run."""

    @abstractmethod
    def encode(self, images: Sequence[Image.Image]) -> Latent:
        """Packed latents (posterior mean) of RGB pictures of one size; padded by edge replication, never resized."""

    @abstractmethod
    def decode(self, latent: Latent) -> list[Image.Image]:
        """RGB pictures of the geometry's size, the padding cropped away."""

    @abstractmethod
    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """Embed prompts; each is embedded once and remembered."""

    @abstractmethod
    def velocity_field(
        self, conditioning: Conditioning, geometry: Geometry, guidance: float | Sequence[float]
    ) -> VelocityField:
        """The velocity of the prompts' flow. A batch of latents needs as many conditioning rows.

        ``guidance`` is one value for all rows or one per row.
        """

    @abstractmethod
    def sigmas(self, steps: int, geometry: Geometry) -> Tensor:
        """The model's sampling schedule, (steps + 1,) from 1 to 0."""

    @property
    def taps(self) -> tuple[AttentionTap, ...]:
        """The taps that are installed, those of the outermost block first."""
        return self._taps

    @contextmanager
    def tapped(self, *taps: AttentionTap) -> Iterator[None]:
        """Install ``taps`` for the time of a ``with`` block and remove them whatever happens in it.

        Within the block every integration tells them of its steps. Taps of an enclosing block stay active.
        """
        before = self._taps
        with following(*taps), self.installed(*taps):
            self._taps = (*before, *taps)
            try:
                yield
            finally:
                self._taps = before

    @abstractmethod
    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        """Put ``taps`` on the attention layers for the time of a ``with`` block: the part of ``tapped`` that is the
        family's own."""
