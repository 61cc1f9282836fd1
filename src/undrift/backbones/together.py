"""Several pieces of work on one model, whose evaluations go through its network in one batch.

Each piece is written as if the model were its own. It runs until it asks for an evaluation and then stands still;
once all stand still, what they asked for is evaluated at once, whatever sigma each of them is at, and all go on. The
rows of a batch do not see each other, so that each is what it would be alone, but for rounding.

An evaluation whose attention is looked at or changed stays its piece's own: taps know the rows of one batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor

from undrift.attention.taps import AttentionTap
from undrift.backbones.around import Around
from undrift.backbones.base import Backbone, Conditioning, Geometry, Latent, NetworkInputs
from undrift.backbones.conditioning import joined
from undrift.backbones.coroutines import Ended, Halting
from undrift.backbones.counter import Counter
from undrift.backbones.memory import Key, VelocityMemory, digest, prompts_digest
from undrift.errors import InputError

Result = TypeVar("Result")

MOST_DECODED = 4
"""Decoded latents whose pictures are kept."""

MOST_JOINED = 16
"""Batches of prompts whose inputs are kept: pieces ask for the same ones again, step after step."""


class Share(Around):
    """What a piece of work takes for the model.

    Its counter counts what the piece asks for. It looks into the memory of the inner one and adds nothing there: what
    was computed in a batch has another one's rounding.

    Attributes:
        alone: evaluations that could not be joined with other pieces', by the names of the taps that were at work.
    """

    def __init__(self, backbone: Backbone, ask: Callable[[Asked | Aside], Any], pictures: _Pictures) -> None:
        super().__init__(backbone)
        self._pictures = pictures
        self.counter = Counter()
        self.memory = None if backbone.memory is None else _Read(backbone.memory)
        self.alone: dict[str, int] = {}
        self._ask = ask

    def network_inputs(
        self, conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> NetworkInputs:
        return Told(self._inner.network_inputs(conditioning, geometry, guidance), conditioning, geometry, guidance)

    def evaluate(self, x: Tensor, sigma: float, inputs: NetworkInputs, *, tapped: bool = True) -> Tensor:
        working = [tap for tap in self.taps if (tapped or tap.both_branches) and not tap.idle]
        gradients = x.requires_grad or (isinstance(inputs, Told) and inputs.wants_gradients)
        if working or gradients or not isinstance(inputs, Told):
            names = " and ".join(type(tap).__name__ for tap in working) or "gradients"
            self.alone[names] = self.alone.get(names, 0) + 1
            return self._alone(partial(self._inner.evaluate, x, sigma, inputs, tapped=tapped), gradients)
        self.counter.add(x.shape[0], tokens=x.shape[1])
        for tap in self.taps if tapped else ():
            tap.evaluation(sigma)
        velocity: Tensor = self._ask(Asked(x, sigma, inputs))
        return velocity

    def _alone(self, evaluate: Callable[[], Tensor], gradients: bool) -> Tensor:
        def evaluated() -> Tensor:
            before = self._inner.counter.copy()
            with self._inner.tapped(*self.taps):
                velocity = evaluate()
            self.counter.take(self._inner.counter.since(before))
            return velocity

        # Gradients belong to the thread that wants them.
        velocity: Tensor = evaluated() if gradients else self._ask(Aside(evaluated))
        if velocity.requires_grad:
            velocity.register_hook(self.counter.add_backward)  # type: ignore[no-untyped-call]
        return velocity

    def encode(self, images: Sequence[Image.Image]) -> Latent:
        made: Latent = self._ask(Aside(lambda: self._inner.encode(images)))
        return made

    def decode(self, latent: Latent) -> list[Image.Image]:
        made: list[Image.Image] = self._ask(Aside(partial(self._pictures.decoded, latent)))
        return made

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        made: Conditioning = self._ask(Aside(lambda: self._inner.embed(prompts)))
        return made

    def turning(self) -> AbstractContextManager[None]:
        return nullcontext()

    def installed(self, *taps: AttentionTap) -> AbstractContextManager[None]:
        return nullcontext()  # they are put in for the time of an evaluation of this piece


class Told(dict[str, Any]):
    """What a network takes, and what it was made of."""

    def __init__(
        self, inputs: Mapping[str, Any], conditioning: Conditioning, geometry: Geometry, guidance: Sequence[float]
    ) -> None:
        super().__init__(inputs)
        self.conditioning, self.geometry, self.guidance = conditioning, geometry, tuple(guidance)

    @cached_property
    def key(self) -> Key:
        return prompts_digest(self.conditioning), self.geometry, self.guidance

    @cached_property
    def kind(self) -> Key:
        """Equal for inputs that can be joined."""
        shapes = tuple((name, tensor.shape[1:]) for name, tensor in sorted(self.conditioning.tensors.items()))
        mask = self.conditioning.mask
        return self.geometry, self.conditioning.text_tokens, shapes, None if mask is None else mask.shape[1:]

    @cached_property
    def wants_gradients(self) -> bool:
        return any(tensor.requires_grad for tensor in self.conditioning.tensors.values())


@dataclass(frozen=True)
class Asked:
    """An evaluation that may be joined with others."""

    x: Tensor
    sigma: float
    inputs: Told


@dataclass(frozen=True)
class Aside:
    """Work of the model's that is a piece's own."""

    work: Callable[[], Any]


def together(backbone: Backbone, pieces: Sequence[Callable[[Share], Result]]) -> Iterator[tuple[int, Result, Share]]:
    """What ``pieces`` return, each with its number and its share of the model, as soon as it is over.

    Whatever the model has to do is done in this thread. If one fails the others are ended.

    Args:
        backbone: without a step cache, whose evaluations depend on those before.
        pieces: work on the model that each is given.

    Raises:
        InputError: the model has a step cache.
        BaseException: what a piece raises.
    """
    if not backbone.repeatable:
        raise InputError("under a step cache an evaluation depends on those before it: turn it off with cache=none")
    shares: dict[int, Share] = {}
    pictures = _Pictures(backbone)

    def piece(number: int, ask: Callable[[Asked | Aside], Any]) -> Result:
        shares[number] = Share(backbone, ask, pictures)
        return pieces[number](shares[number])

    running = {number: Halting(partial(piece, number)) for number in range(len(pieces))}
    network = _Network(backbone)
    try:
        said = {number: one.begin() for number, one in running.items()}
        while said:
            asked: dict[int, Asked] = {}
            for number, question in said.items():
                while isinstance(question, Aside):
                    question = running[number].answer(_outcome(question.work))
                if isinstance(question, Ended):
                    yield number, question.result(), shares[number]
                else:
                    asked[number] = question
            found = network.evaluated(list(asked.values()))
            said = {
                number: running[number].answer(partial(_same, velocity))
                for number, velocity in zip(asked, found, strict=True)
            }
    finally:
        for one in running.values():
            one.close()


class _Network:
    """Evaluates what several ask."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._joined: dict[tuple[int, ...], tuple[Sequence[Told], NetworkInputs]] = {}

    def evaluated(self, asked: Sequence[Asked]) -> list[Tensor]:
        """Their velocities; what several ask alike is computed once."""
        keys = [(*one.inputs.key, digest(one.x), one.sigma) for one in asked]
        groups: dict[Key, dict[Key, Asked]] = {}
        for key, one in zip(keys, asked, strict=True):
            sigma = None if self._backbone.mixes_sigmas else one.sigma
            groups.setdefault((*one.inputs.kind, sigma), {}).setdefault(key, one)
        found: dict[Key, Tensor] = {}
        for group in groups.values():
            found |= zip(group, self._batch(list(group.values())), strict=True)
        return [found[key].clone() for key in keys]

    def _batch(self, asked: Sequence[Asked]) -> Sequence[Tensor]:
        rows = [len(one.x) for one in asked]
        x = torch.cat([one.x for one in asked])
        sigmas = {one.sigma for one in asked}
        inputs = self._inputs([one.inputs for one in asked])
        if len(sigmas) == 1:
            return torch.split(self._backbone.evaluate(x, sigmas.pop(), inputs), rows)
        each = torch.tensor([one.sigma for one in asked]).repeat_interleave(torch.tensor(rows))
        return torch.split(self._backbone.evaluate_mixed(x, each, inputs), rows)

    def _inputs(self, told: Sequence[Told]) -> NetworkInputs:
        if len(told) == 1:
            return told[0]
        key = tuple(map(id, told))
        if key not in self._joined:
            if len(self._joined) == MOST_JOINED:
                self._joined.clear()
            guidance = [value for one in told for value in one.guidance]
            prompts = joined([one.conditioning for one in told])
            made = self._backbone.network_inputs(prompts, told[0].geometry, guidance)
            self._joined[key] = told, made  # held, or another one might be given its id
        return self._joined[key][1]


class _Pictures:
    """The pictures of latents, the last ones decoded once: all pieces ask for the one that they start from."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._kept: OrderedDict[Key, list[Image.Image]] = OrderedDict()

    def decoded(self, latent: Latent) -> list[Image.Image]:
        key = digest(latent.packed), latent.geometry
        made = self._kept.pop(key, None) or self._backbone.decode(latent)
        self._kept[key] = made
        if len(self._kept) > MOST_DECODED:
            self._kept.popitem(last=False)
        return [image.copy() for image in made]


class _Read(VelocityMemory):
    """What another memory knows; nothing is put there."""

    def __init__(self, memory: VelocityMemory) -> None:
        super().__init__(budget=0)
        self._memory = memory

    def get(self, key: Key) -> Tensor | None:
        return self._memory.get(key)

    def put(self, key: Key, velocity: Tensor) -> None:
        pass


def _same(velocity: Tensor) -> Tensor:
    return velocity


def _outcome(work: Callable[[], Any]) -> Callable[[], Any]:
    """Do ``work`` now; what it returns or raises is for who asked."""
    try:
        made = work()
    except Exception as error:
        return partial(_raised, error)
    return partial(_same, made)


def _raised(error: Exception) -> Any:
    raise error
