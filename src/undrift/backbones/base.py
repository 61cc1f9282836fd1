"""What a backbone is: a flow-matching model with everything that is particular to it kept inside."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from PIL import Image
from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.backbones.conditioning import Conditioning, PromptTokens
from undrift.backbones.counter import Counter
from undrift.backbones.folder import ModelFolder
from undrift.backbones.geometry import Geometry
from undrift.backbones.memory import VelocityMemory
from undrift.backbones.placement import Placement
from undrift.backbones.processors import Running
from undrift.backbones.stopping import in_pieces
from undrift.backbones.velocity import BackboneField, guidance_values
from undrift.errors import InputError
from undrift.flow import VelocityField, following

__all__ = [
    "Backbone",
    "Capabilities",
    "Conditioning",
    "Geometry",
    "Latent",
    "ModelIdentity",
    "NetworkInputs",
    "PromptTokens",
]

logger = logging.getLogger(__name__)

NetworkInputs = Mapping[str, Any]
"""What a network takes beside the state and sigma; the names are the family's own."""


@dataclass(frozen=True)
class Latent:
    """Packed latents (batch, tokens, channels), float32, of pictures of one geometry."""

    packed: Tensor
    geometry: Geometry


Guidance = Literal["embedded", "two_evaluations", "none"]


@dataclass(frozen=True)
class Capabilities:
    """What a model can do, so that callers ask instead of testing names.

    Attributes:
        guidance: how a guidance value g takes effect: ``embedded``, it is an input of the network;
            ``two_evaluations``, v = v_positive + (g - 1) (v_positive - v_negative); ``none``, it has no effect.
        map_sites: layers in which image tokens attend to the prompt's, whose attention makes maps, one value per
            token of the grid; in running order.
        text_sites: every layer in which the image attends to the prompt, whatever its resolution; in running order.
        sharing_sites: layers whose features one pass may take from another, in running order.
        fixed_text: every prompt takes as many text tokens, so that their features may be shared, too.
        partial_sites: every attention layer, where the network can be evaluated at some of the image tokens alone
            (``Backbone.part_of``); empty where it cannot.
        vital_sites: layers found vital for the picture (Stable Flow), empty if unknown.
        vocabulary: every word that a model of a drawn world knows; None for a model of photos and free text.
        notes: one line a user should know, such as the licence of the weights.
    """

    guidance: Guidance = "embedded"
    map_sites: tuple[Site, ...] = ()
    text_sites: tuple[Site, ...] = ()
    sharing_sites: tuple[Site, ...] = ()
    partial_sites: tuple[Site, ...] = ()
    fixed_text: bool = True
    vital_sites: tuple[Site, ...] = ()
    vocabulary: tuple[str, ...] | None = None
    notes: str = ""

    def calls_per_velocity(self, guidance: float | Sequence[float]) -> int:
        """Network evaluations that one velocity takes at ``guidance``, one value or one per row.

        Two where guidance is done by two evaluations, unless every row's is 1, where the second has no effect.
        """
        values = guidance if isinstance(guidance, Sequence) else (guidance,)
        return 2 if self.guidance == "two_evaluations" and any(value != 1 for value in values) else 1


@dataclass(frozen=True)
class ModelIdentity:
    """Which weights ran: recorded with every turn.

    Attributes:
        name: what the user loads it by, e.g. ``littleworld`` or ``black-forest-labs/FLUX.1-dev``.
        weights_hash: sha256 over the weight files' contents (or the hub's revision), first 16 hex digits.
        dtype, device: what it computed in and on.
        quantize: how the large weights were held: ``none`` or as ``load`` calls it; where the network's file is
            quantised itself ``gguf`` or ``saved-nf4``, and after a ``+`` how the other large parts were.
        vae_hash: which autoencoder, likewise; latents mean something to every model with the same one.
        loras: adapters of the transformer, ``file:scale@hash`` each.
        options: what else decides a result, ``name=value`` each: ``tiling=on``, ``compile=on``, ``text_tokens=256``,
            ``transformer=FILE@HASH`` where its weights came from a file beside the model.
        revision: the hub's commit; earlier versions recorded its first 16 digits in place of ``weights_hash``.
    """

    name: str
    weights_hash: str
    dtype: str
    device: str
    quantize: str = "none"
    vae_hash: str = ""
    loras: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    revision: str = ""

    def has_weights(self, recorded: str) -> bool:
        """Whether ``recorded`` names these weights, as this version or an earlier one records them."""
        return recorded in (self.weights_hash, self.revision[:16] or self.weights_hash)


class Backbone(ABC):
    """A flow-matching text-to-image transformer with its text encoders and VAE.

    Packing, timestep scale, dtype, devices and offloading live behind this interface and nowhere else.
    All tensors handed out are float32.
    """

    pipeline_classes: ClassVar[tuple[str, ...]] = ()
    """diffusers pipelines whose folders this family loads: ``_class_name`` of their ``model_index.json``."""
    takes_text_tokens: ClassVar[bool] = False
    """Whether a folder's model can be loaded for fewer text tokens than it was made for."""
    mixes_sigmas: ClassVar[bool] = False
    """Whether the rows of an evaluation may lie at sigmas of their own (``network_mixed``)."""

    identity: ModelIdentity
    capabilities: Capabilities
    counter: Counter
    """How often the network was asked. ``evaluate`` counts, and nothing else calls the network."""
    memory: VelocityMemory | None = None
    """Velocities that need not be computed again, see ``undrift.backbones.memory``; None: all are."""
    placement: Placement | None = None
    """Where it was put and how it is held; None for a model that nobody placed."""
    tuned: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """Parameter overrides per method name, of its default preset, or ``NAME:PRESET``, for models whose best values
    differ from the methods' own."""

    def __init__(self) -> None:
        self.counter = Counter()
        self.running = Running()
        self._taps: tuple[AttentionTap, ...] = ()
        self._warned_guidance = False

    @classmethod
    def from_folder(cls, folder: ModelFolder, placement: Placement) -> Backbone:
        """Load a pipeline folder of one of ``pipeline_classes``."""
        raise NotImplementedError(f"{cls.__name__} is not loaded from folders")

    @property
    @abstractmethod
    def sites(self) -> tuple[Site, ...]:
        """Every attention layer that taps can reach, in the order they run."""

    @abstractmethod
    def geometry(self, size: tuple[int, int]) -> Geometry:
        """The token grid of a picture of ``size`` (width, height)."""

    @abstractmethod
    def feature_bytes(self, site: Site, geometry: Geometry) -> int:
        """Bytes of one projection (query, key or value) of one picture at ``site``: of the whole sequence, or of the
        image's tokens alone where prompts differ in length (``Capabilities.fixed_text``)."""

    @abstractmethod
    def state_bytes(self, geometry: Geometry) -> int:
        """Bytes of one latent of one picture, in float32."""

    @abstractmethod
    def encode(self, images: Sequence[Image.Image]) -> Latent:
        """Packed latents (posterior mean) of RGB pictures of one size; padded by edge replication, never resized."""

    @abstractmethod
    def decode(self, latent: Latent) -> list[Image.Image]:
        """RGB pictures of the geometry's size, the padding cropped away."""

    @abstractmethod
    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """Embed prompts; each is embedded once and remembered."""

    @property
    def repeatable(self) -> bool:
        """Whether a velocity depends on nothing but its state, sigma and prompt: not so under a step cache."""
        return True

    def turning(self) -> AbstractContextManager[None]:
        """Within the block a turn is made: what helps from one step to the next may be remembered."""
        return nullcontext()

    @contextmanager
    def remembering(self, memory: VelocityMemory | None) -> Iterator[None]:
        """Within the block ``memory`` is asked and filled, none if it is None."""
        before, self.memory = self.memory, memory
        try:
            yield
        finally:
            self.memory = before

    def velocity_field(
        self,
        conditioning: Conditioning,
        geometry: Geometry,
        guidance: float | Sequence[float],
        negative: Conditioning | None = None,
    ) -> VelocityField:
        """The velocity of the prompts' flow. A batch of latents needs as many conditioning rows.

        Args:
            conditioning: the prompts, one per row.
            geometry: of the latents.
            guidance: one value for all rows or one per row.
            negative: what guidance by two evaluations leads away from, one per row; None: the empty prompt.

        Raises:
            InputError: a number of guidance values that is not the number of prompts, or a negative conditioning for
                a model whose guidance does not take one.
        """
        if negative is not None and self.capabilities.guidance != "two_evaluations":
            raise InputError(f"{self.identity.name} takes no negative prompt, its guidance has but one evaluation")
        values = guidance_values(guidance, conditioning.rows)
        if self.capabilities.guidance == "none":
            self._warn_guidance(values)
        if self.capabilities.calls_per_velocity(values) == 1:
            return BackboneField(self, conditioning, geometry, values)
        away_from = self.embed([""] * conditioning.rows) if negative is None else negative
        return BackboneField(self, conditioning, geometry, values, away_from)

    def evaluate(self, x: Tensor, sigma: float, inputs: NetworkInputs, *, tapped: bool = True) -> Tensor:
        """One evaluation of the network, counted: velocity of ``x`` (batch, tokens, channels) at ``sigma``, float32.

        Args:
            x: packed latents.
            sigma: where on the path.
            inputs: what ``network_inputs`` made.
            tapped: whether the installed taps hear of it and see its attention.
        """
        self.counter.add(x.shape[0], tokens=x.shape[1])
        self.running.tapped = tapped
        if tapped:
            for tap in self._taps:
                tap.evaluation(sigma)
        with in_pieces(x):
            velocity = self.network(x, sigma, inputs)
        if velocity.requires_grad:
            velocity.register_hook(self.counter.add_backward)  # type: ignore[no-untyped-call]
        return velocity

    def evaluate_mixed(self, x: Tensor, sigmas: Tensor, inputs: NetworkInputs) -> Tensor:
        """``evaluate`` at ``sigmas`` (batch,), without taps, for models that ``mixes_sigmas``."""
        self.counter.add(x.shape[0], tokens=x.shape[1])
        self.running.tapped = False
        with in_pieces(x):
            return self.network_mixed(x, sigmas, inputs)

    def guided(self, positive: Tensor, negative: Tensor, extra: Tensor) -> Tensor:
        """v = v_positive + (g - 1) (v_positive - v_negative), for models whose guidance takes two evaluations.

        A family that combines them in another way says so here; rows of g = 1 must stay ``positive`` to the bit.

        Args:
            positive, negative: velocities (batch, tokens, channels).
            extra: g - 1 per row, (batch, 1, 1).
        """
        return positive + extra * (positive - negative)

    @abstractmethod
    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        """What the network takes that depends on neither the state nor sigma; ``guidance`` has a value per row."""

    def part_of(self, inputs: NetworkInputs, tokens: Tensor) -> NetworkInputs:
        """``inputs`` for the image tokens ``tokens`` (n,) alone, for models with ``Capabilities.partial_sites``."""
        raise InputError(f"{self.identity.name} cannot be evaluated at some of its tokens alone")

    @abstractmethod
    def network(self, x: Tensor, sigma: float, inputs: NetworkInputs) -> Tensor:
        """Call the network once, for ``evaluate`` alone: float32, an ordinary tensor that may be changed in place."""

    def network_mixed(self, x: Tensor, sigmas: Tensor, inputs: NetworkInputs) -> Tensor:
        """``network`` at ``sigmas`` (batch,), for ``evaluate_mixed`` alone."""
        raise InputError(f"{self.identity.name} is evaluated at one sigma at a time")

    @abstractmethod
    def sigmas(self, steps: int, geometry: Geometry) -> Tensor:
        """The model's sampling schedule, (steps + 1,) from 1 to 0."""

    def _warn_guidance(self, values: Sequence[float]) -> None:
        ignored = [value for value in values if value not in (0.0, 1.0)]
        if ignored and not self._warned_guidance:
            logger.warning("%s takes no guidance: the value %g has no effect", self.identity.name, ignored[0])
            self._warned_guidance = True

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
