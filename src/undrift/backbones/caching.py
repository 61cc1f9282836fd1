"""diffusers' step caches: later blocks are left out where an evaluation resembles the one before.

A cache has a memory, so a velocity under it depends on the evaluations before. It holds within one integration alone,
each field and each branch of guidance for itself; an evaluation in which a tap has something to do is computed whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from undrift.errors import InputError, ModelError
from undrift.flow import Observer, Step, StepEnd, following


@dataclass(frozen=True)
class Kind:
    """A cache that can be asked for.

    Attributes:
        usual: its value where none is given.
        least, most: what it may be.
        means: what it says.
    """

    usual: float
    least: float
    most: float
    means: str


KINDS: Mapping[str, Kind] = {
    "first_block": Kind(0.05, 0.0, 1.0, "how far the first block's part may differ from that of the last whole one"),
    "taylorseer": Kind(3, 2, 100, "every how many evaluations one is computed whole"),
}


UNFIT: Mapping[str, str] = {
    "mag_cache": "its curve of magnitudes is that of one model's whole sampling, where no edit's evaluations lie",
    "pyramid_attention_broadcast": "it reuses attention within timesteps that are known for video models",
    "faster_cache": "it reuses attention within timesteps that are known for video models",
    "sea_cache": "it follows the spectra of videos, and diffusers adapts it to video models alone",
    "text_kv_cache": "it is for models whose text does not depend on the picture, and here both attend to each other",
}
"""diffusers' other caches, by the names that it gives them, and why they are not taken."""


@dataclass(frozen=True)
class Cache:
    """One of ``KINDS`` with its value; written ``NAME:VALUE``."""

    name: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """``NAME`` or ``NAME:VALUE``; ``none`` is none.

        Raises:
            InputError: no such cache, or a value out of range.
        """
        if text == "none":
            return None
        name, colon, value = text.partition(":")
        kind = KINDS.get(name)
        if kind is None:
            why = f", which is diffusers' and not taken: {UNFIT[name]}" if name in UNFIT else ""
            raise InputError(f"cache is '{text}'{why}, expected one of: none, {', '.join(KINDS)}")
        try:
            number = float(value) if colon else kind.usual
        except ValueError:
            number = float("nan")
        if not kind.least <= number <= kind.most:
            raise InputError(
                f"cache is '{text}', expected {name}:{kind.least:g} to {name}:{kind.most:g}, {kind.means}"
            )
        return cls(name, number)

    def __str__(self) -> str:
        return f"{self.name}:{self.value:g}"

    def config(self) -> Any:
        """As diffusers takes it."""
        import torch
        from diffusers.hooks import FirstBlockCacheConfig, TaylorSeerCacheConfig

        if self.name == "first_block":
            return FirstBlockCacheConfig(threshold=self.value)
        return TaylorSeerCacheConfig(
            cache_interval=int(self.value), disable_cache_before_step=2, taylor_factors_dtype=torch.float32
        )


def check_plain(network: Any, name: str) -> None:
    """Refuse a network that somebody has given a cache already: nobody knows its steps.

    Raises:
        ModelError: it has one.
    """
    if getattr(network, "is_cache_enabled", False):
        raise ModelError(
            f"the network of {name} has a step cache: call its disable_cache() first, or load with cache="
        )


class StepCache(Observer):
    """A cache at work in a network.

    Args:
        network: of diffusers.
        cache: which.
        name: the model's, for messages.

    Raises:
        ModelError: diffusers has no caches for such a network.
    """

    def __init__(self, network: Any, cache: Cache, name: str) -> None:
        if not hasattr(network, "enable_cache"):
            raise ModelError(f"diffusers has no step cache for {name}, a {type(network).__name__}: leave out --cache")
        if cache.name == "first_block" and not _hand_on_alike(network):
            raise ModelError(
                f"diffusers' first_block does not know how blocks follow in {name}: use --cache taylorseer"
            )
        network.enable_cache(cache.config())
        self._network = network
        self._contexts: dict[int, tuple[str, object]] = {}
        self._integrating = False

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Integrations within the block use the cache; anything else is computed whole."""
        try:
            with following(self):
                yield
        finally:
            self._forget()

    def begin(self, step: Step) -> None:
        if step.index == 0:
            self._forget()
            self._integrating = True

    def end(self, event: StepEnd) -> None:
        if event.step.index + 1 == event.step.count:
            self._forget()

    @contextmanager
    def evaluation(self, inputs: object, whole: bool) -> Iterator[None]:
        """Around one evaluation of the network.

        Args:
            inputs: those of the field, and of the branch of guidance; each has a memory of its own.
            whole: leave nothing out.
        """
        if whole or not self._integrating:
            # There is no way to have diffusers forget one context alone; the others are computed whole once more.
            self._network._reset_stateful_cache()
        # Holding the inputs keeps their number from being given to others.
        context, _ = self._contexts.setdefault(id(inputs), (str(len(self._contexts)), inputs))
        with self._network.cache_context(context):
            yield

    def _forget(self) -> None:
        self._integrating = False
        self._contexts.clear()
        self._network._reset_stateful_cache()


def _hand_on_alike(network: Any) -> bool:
    """Whether a network's first and last block return the same streams, which diffusers' first_block takes as given.

    In FLUX.2 the last returns one for both, and diffusers 0.42 fails at it.
    """
    from diffusers.hooks._common import _ALL_TRANSFORMER_BLOCK_IDENTIFIERS
    from diffusers.hooks._helpers import TransformerBlockRegistry

    blocks = [
        block
        for kind, part in network.named_children()
        if kind in _ALL_TRANSFORMER_BLOCK_IDENTIFIERS
        for block in part
    ]
    known = (TransformerBlockRegistry.get(type(block)) for block in (blocks[0], blocks[-1]))
    first, last = (streams.return_encoder_hidden_states_index is None for streams in known)
    return bool(first == last)
